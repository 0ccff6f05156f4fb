"""What the sandbox needs to know of this host."""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from node_agent.sandbox import seccomp

_OLDEST_BUBBLEWRAP = (0, 8)  # brought --disable-userns and --size
_OLDEST_KERNEL = (5, 14)  # since then RLIMIT_NPROC counts per user namespace, not per host user
_PROBE_SECONDS = 20

_USERNS_SWITCHES = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "give bwrap an AppArmor profile with 'userns', or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


@dataclass(frozen=True)
class Host:
    """``python`` is a real interpreter, not a venv's link; ``python_prefix`` is the folder that makes it complete.

    ``private_hardware``: folders of ``/sys`` with serial numbers and addresses that identify the owner's machine.
    """

    bwrap: str
    python: Path
    python_prefix: Path
    is_root: bool
    gpu_devices: tuple[Path, ...]
    private_hardware: tuple[Path, ...] = ()


def look() -> Host:
    """This host as it is now."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Host(
        bwrap=shutil.which("bwrap") or "",
        python=Path(base).resolve(),
        python_prefix=Path(sys.base_prefix).resolve(),
        is_root=os.geteuid() == 0,
        gpu_devices=gpu_devices(),
        private_hardware=private_hardware(),
    )


def gpu_devices(folder: Path = Path("/dev")) -> tuple[Path, ...]:
    """Device files through which a process reaches the GPUs (dxg: under WSL)."""
    names = re.compile(r"nvidia(\d+|ctl|-uvm|-uvm-tools|-caps)|dxg")
    return tuple(sorted(entry for entry in folder.iterdir() if names.fullmatch(entry.name)))


def private_hardware(sys: Path = Path("/sys")) -> tuple[Path, ...]:
    """Where ``/sys`` tells one machine from another: network cards, disks, USB devices, the mainboard."""
    groups = [sys / "class" / name for name in ("net", "nvme", "block", "dmi", "bluetooth")]
    found = [entry.resolve() for group in groups if group.is_dir() for entry in group.iterdir()]
    found += [entry.resolve() for entry in (sys / "bus" / "usb" / "devices").glob("usb*")]
    return tuple(sorted({path for path in found if path.is_dir()}))


def problems(host: Host) -> list[str]:
    """What can be said without starting anything."""
    if platform.system() != "Linux":
        return [f"The sandbox needs Linux; this is {platform.system()}. On Windows run the agent inside WSL 2."]
    found = []
    if not host.bwrap:
        found.append("bubblewrap is missing. Install it with your package manager, for example: apt install bubblewrap")
    elif bubblewrap_version(host.bwrap) < _OLDEST_BUBBLEWRAP:
        found.append("bubblewrap is older than 0.8. Install a newer one from your distribution's backports.")
    if not seccomp.supported():
        found.append(f"There is no system call filter for {platform.machine()}; the agent isolates x86_64 and aarch64.")
    if host.is_root and not shutil.which("setpriv"):
        found.append("setpriv is missing, so units could not give up root. Install util-linux.")
    if not host.is_root:
        found += _user_problems()
    return found


def bubblewrap_version(bwrap: str) -> tuple[int, int]:
    """(major, minor), or (0, 0) when it does not say."""
    said = subprocess.run([bwrap, "--version"], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    return _version(said.stdout)


def _user_problems() -> list[str]:
    found = []
    if _version(platform.release()) < _OLDEST_KERNEL:
        found.append(f"Linux {platform.release()} cannot limit a unit's processes. Upgrade to 5.14 or newer.")
    for switch, closed, remedy in _USERNS_SWITCHES:
        if Path(switch).exists() and Path(switch).read_text().strip() == closed:
            found.append(f"This host forbids user namespaces ({switch} is {closed}). As root: {remedy}")
    return found


def _version(text: str) -> tuple[int, int]:
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
