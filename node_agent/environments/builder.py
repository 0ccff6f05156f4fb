"""Building one environment: pip with the network, and no stranger's code while the network is there.

Installing from source runs ``setup.py`` or a build backend, which is a stranger's code with network access in the home
of the owner. So pip gets wheels only (``--only-binary=:all:``), which it unpacks and does not execute; it is the agent's
own pip, started isolated; and the new environment, which may hold ``.pth`` files or a ``sitecustomize`` that would run,
is only written to (``--target``), never started, and has no pip of its own. What was installed runs for the first time
in a unit's sandbox, where there is no network. Should an archive find a hole in pip itself, it finds itself in a
sandbox that sees the host read-only, without the agent's state and the usual places of keys.

The host's own pip configuration (pip.conf, ``PIP_*``) applies: which index is asked is the owner's decision.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node_agent.environments.environments import EnvironmentAbandonedError, EnvironmentFailedError
from node_agent.sandbox import disk, processes
from node_agent.sandbox.host import Host
from node_agent.sandbox.launch import sealed

_KEYS_OF_OWNER = (".ssh", ".aws", ".gnupg", ".kube", ".docker", ".config/gcloud", ".mozilla", ".password-store")
_PASSED_ON = (
    "HOME",
    "PATH",
    "LANG",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_BUILD_SECONDS = 1800.0
_POLL_SECONDS = 0.5
_READ_LOG_BYTES = 256_000  # its end names the cause; pip can be made to say very much before
_PIP_EXIT_NO_MATCH = "No matching distribution found for "


@dataclass(frozen=True)
class Build:
    """One environment to make in ``folder``. ``hidden``: folders of the agent that the build must not see."""

    folder: Path
    requirements: tuple[str, ...]
    hidden: tuple[Path, ...]
    max_bytes: int


def build(job: Build, *, host: Host, stop: threading.Event) -> None:
    """Fills ``job.folder``. Raises EnvironmentFailedError with pip's own sentence, or EnvironmentAbandonedError."""
    job.folder.mkdir(parents=True)
    _make_venv(job.folder, host)
    if not job.requirements:
        return
    scratch = job.folder / "tmp"
    scratch.mkdir()
    (scratch / "requirements.txt").write_text("".join(f"{line}\n" for line in job.requirements))
    _install(job, scratch, host=host, stop=stop)
    # The log names the owner's index, which is none of the units' business.
    shutil.rmtree(scratch)


def site_packages(folder: Path) -> Path:
    """Where the environment's packages lie."""
    return folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def pip_words(target: Path, wishes: Path) -> list[str]:
    """Pip as a program of the agent's own interpreter; every option here is one that safety or repetition needs."""
    options = ["--only-binary=:all:", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off"]
    return [sys.executable, "-I", "-m", "pip", "install", *options, "--target", str(target), "-r", str(wishes)]


def sandbox_words(job: Build, *, home: Path) -> list[str]:
    """A view of the host in which only the new environment can be written; the network is the host's."""
    hidden = [*job.hidden, *(home / name for name in _KEYS_OF_OWNER)]
    words = ["--ro-bind", "/", "/", "--dev", "/dev"]
    for path in hidden:
        if path.is_dir():
            words += ["--tmpfs", str(path)]
        elif path.exists():
            words += ["--ro-bind", "/dev/null", str(path)]
    words += ["--bind", str(job.folder), str(job.folder)]
    user = [] if os.geteuid() == 0 else ["--unshare-user"]
    isolation = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL", "--die-with-parent", "--new-session"]
    return [*user, *isolation, *words, "--proc", "/proc", "--chdir", str(job.folder)]


def build_environment(environ: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """What pip may know of the owner's environment: its own settings, proxies and certificates.

    Pip installs into a temporary folder first, so that has to be on the disk of the target and not in memory.
    """
    kept = {name: value for name, value in environ.items() if name in _PASSED_ON or name.lower() in _PROXIES}
    settings = {name: value for name, value in environ.items() if name.startswith("PIP_") and name not in _WEAKENING}
    return {**kept, **settings, "TMPDIR": str(scratch)}


# Settings of the owner's that would overrule what makes the build safe or put the packages elsewhere.
_WEAKENING = frozenset({"PIP_NO_BINARY", "PIP_ONLY_BINARY", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON"})


def _make_venv(folder: Path, host: Host) -> None:
    command = [str(host.python), "-I", "-m", "venv", "--without-pip", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, umask=0o022)
    if made.returncode != 0:
        raise EnvironmentFailedError(f"The interpreter cannot make an environment: {made.stderr.strip()[-300:]}")


def _install(job: Build, scratch: Path, *, host: Host, stop: threading.Event) -> None:
    log = scratch / "build.log"
    home = Path(os.environ.get("HOME", "/nonexistent"))
    options = sealed(b"\0".join(os.fsencode(word) for word in sandbox_words(job, home=home)))
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [host.bwrap, "--args", str(options), "--", *pip_words(site_packages(job.folder), scratch / "requirements.txt")],
                env=build_environment(os.environ, scratch),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(options,),
                start_new_session=True,
                umask=0o022,
            )
    finally:
        os.close(options)
    _await(process, job, stop)
    if process.returncode != 0:
        raise EnvironmentFailedError(_reason(log))


def _await(process: subprocess.Popen[bytes], job: Build, stop: threading.Event) -> None:
    """Waits for pip, and ends it when it is not wanted, takes too long or writes too much."""
    started = time.monotonic()
    try:
        while process.poll() is None:
            if stop.wait(_POLL_SECONDS):
                raise EnvironmentAbandonedError
            if time.monotonic() - started > _BUILD_SECONDS:
                raise EnvironmentFailedError(f"Installing the requirements took longer than {_BUILD_SECONDS:g} seconds.")
            _refuse_too_large(job)
        _refuse_too_large(job)
    finally:
        if process.poll() is None:
            for pid in (*processes.tree(process.pid)[1:2], process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def _refuse_too_large(job: Build) -> None:
    try:
        too_large = disk.bytes_below(job.folder) > job.max_bytes
    except disk.UnmeasurableError:
        too_large = True
    if too_large:
        raise EnvironmentFailedError(f"The installed requirements are larger than {job.max_bytes >> 20} MB.")


def _reason(log: Path) -> str:
    """Pip's own sentence, without the addresses of the owner's index."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _READ_LOG_BYTES))
        lines = file.read(_READ_LOG_BYTES).decode("utf-8", "replace").splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    for line in errors:
        if line.startswith(_PIP_EXIT_NO_MATCH):
            wish = line.removeprefix(_PIP_EXIT_NO_MATCH)[:300]
            return f"There is no wheel for the requirement {wish} and this Python. Packages are installed from wheels only."
    return f"The requirements cannot be installed: {(errors or lines or ['pip said nothing'])[-1][:300]}"
