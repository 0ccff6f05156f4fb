"""The words for bubblewrap: which part of the host a unit sees, and as whom."""

from collections.abc import Iterable
from pathlib import Path

import node_agent.inside
from node_agent.sandbox.host import Host
from node_agent.sandbox.sandbox import Limits, UnitFiles, UnitSpec
from node_agent.sandbox.stage import Stage

# Bubblewrap's words for one mount; the last is where it appears inside.
Mount = tuple[str, ...]

_INSIDE = "/opt/gpupool/inside"
_INPUTS = "/opt/gpupool/inputs"
_START = "import sys, runpy; sys.path.insert(0, '/opt/gpupool'); runpy.run_module('inside', run_name='__main__')"
_SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC_OF_HOST = ("ld.so.cache", "alternatives", "localtime")
_MIB = 1 << 20


def program_words(stage: Stage, host: Host) -> list[str]:
    """How the second program is started: isolated from environment, user site and working folder (-I), no site (-S)."""
    return [*(_drop_root_words(stage) if host.is_root else []), str(host.python), "-I", "-S", "-c", _START]


def _drop_root_words(stage: Stage) -> list[str]:
    user = str(stage.user)
    nothing = ["--clear-groups", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
    return ["setpriv", "--reuid", user, "--regid", user, *nothing, "--"]


def sandbox_words(spec: UnitSpec, files: UnitFiles, *, limits: Limits, stage: Stage, host: Host) -> list[str]:
    """Bubblewrap's options for one unit, to be followed by the program's words."""
    return [
        *isolation_words(host),
        "--unshare-net",
        *("--hostname", "algo-1"),
        *mount_words(
            [
                *(("--proc", "/proc"), ("--dev", "/dev")),
                *_scratch_mounts(limits),
                *system_mounts(host),
                *_etc_mounts(stage),
                *_unit_mounts(spec, files, stage),
                *(_gpu_mounts(host) if spec.has_gpu else []),
            ]
        ),
        *("--chdir", "/opt/ml/code"),
        # Both are memory; left writable they would be a disk that no limit sees.
        *("--remount-ro", "/dev", "--remount-ro", "/"),
    ]


def isolation_words(host: Host) -> list[str]:
    """Namespaces, privileges and lifetime; the network is decided by the caller.

    An ordinary user's sandbox lives in a user namespace that cannot be nested further. Root needs none to build the
    mounts; there ``program_words`` gives up root before anything else, for which alone three capabilities are left.
    """
    kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP") if host.is_root else ()
    user = [] if host.is_root else ["--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]
    return [
        *user,
        *("--cap-drop", "ALL", *(word for name in kept for word in ("--cap-add", name))),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--die-with-parent", "--new-session", "--clearenv"),
    ]


def mount_words(mounts: Iterable[Mount]) -> list[str]:
    """The mounts in order, each after the folders that lead to it.

    Bubblewrap would make those for its own user alone, and the unit's user may be another.
    """
    words: list[str] = []
    made = {Path("/")}
    mounted: set[Path] = set()
    for mount in mounts:
        target = Path(mount[-1])
        for folder in reversed(target.parents):
            if folder not in made and not any(folder.is_relative_to(below) for below in mounted):
                words += ["--perms", "0755", "--dir", str(folder)]
                made.add(folder)
        words += mount
        if mount[0].endswith("bind"):
            mounted.add(target)
    return words


def system_mounts(host: Host) -> list[Mount]:
    """The least of the system that Python and its wheels run on, read-only."""
    mounts: list[Mount] = [("--ro-bind", "/usr", "/usr")]
    for name in _SYSTEM_FOLDERS:
        folder = Path("/", name)
        if folder.is_symlink():
            mounts.append(("--symlink", str(folder.readlink()), str(folder)))
        elif folder.is_dir():
            mounts.append(("--ro-bind", str(folder), str(folder)))
    if not host.python_prefix.is_relative_to("/usr"):
        mounts.append(_read_only(host.python_prefix))
    return mounts


def _scratch_mounts(limits: Limits) -> list[Mount]:
    half = str(max(16, limits.memory_mb // 2) * _MIB)
    return [("--perms", "1777", "--size", half, "--tmpfs", folder) for folder in ("/tmp", "/dev/shm")]  # noqa: S108


def _etc_mounts(stage: Stage) -> list[Mount]:
    own = [_read_only(path, f"/etc/{path.name}") for path in sorted(stage.etc.iterdir())]
    return own + [("--ro-bind-try", f"/etc/{name}", f"/etc/{name}") for name in _ETC_OF_HOST]


def _unit_mounts(spec: UnitSpec, files: UnitFiles, stage: Stage) -> list[Mount]:
    mounts = [
        _read_only(Path(node_agent.inside.__file__).parent, _INSIDE),
        _read_only(files.package, f"{_INPUTS}/package.zip"),
        *(_read_only(file.path, f"{_INPUTS}/needs/{need.unit_name}/{file.name}") for need in spec.needs for file in need.files),
    ]
    if files.dataset is not None:
        mounts.append(_read_only(files.dataset, f"{_INPUTS}/dataset"))
    if files.environment is not None:
        mounts.append(_read_only(files.environment))
    mounts += [("--bind", str(stage.ml), "/opt/ml"), ("--bind", str(stage.outbox), "/opt/gpupool/outbox")]
    return [*mounts, _read_only(stage.config, "/opt/ml/input/config")]


def _gpu_mounts(host: Host) -> list[Mount]:
    """The driver's devices, and ``/sys``, without which it does not start; its libraries lie below ``/usr``.

    What identifies the owner's machine is covered, outermost first, because a cover hides the covers below it.
    """
    devices: list[Mount] = [("--dev-bind", str(device), str(device)) for device in host.gpu_devices]
    covers: list[Path] = []
    for folder in host.private_hardware:
        if not any(folder.is_relative_to(cover) for cover in covers):
            covers.append(folder)
    return [*devices, ("--ro-bind", "/sys", "/sys"), *(("--tmpfs", str(folder)) for folder in covers)]


def _read_only(source: Path, target: str | None = None) -> Mount:
    return ("--ro-bind", str(source), target or str(source))
