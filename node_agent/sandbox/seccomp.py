"""The system calls a unit may not make, as a BPF program for ``bwrap --seccomp``.

Everything else is allowed: a training script's needs are too wide for a list of what is allowed. What is refused is what
reaches outside the unit's namespaces, loads code into the kernel, inspects other processes, or widens the kernel's
attack surface without a use in training. Refusals are errors, not kills, so that libraries fall back.
"""

import errno
import platform
import struct
from dataclasses import dataclass

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERRNO = 0x00050000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24

_ANY_NEW_NAMESPACE = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET,TIME}
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # type into, or paste from, a terminal
_SOCKET_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: those that a network namespace contains


@dataclass(frozen=True)
class _Machine:
    """One architecture's numbers. ``refused`` and ``absent`` are system calls answered EPERM and ENOSYS."""

    audit: int
    clone: int
    clone3: int
    socket: int
    ioctl: int
    refused: tuple[int, ...]
    absent: tuple[int, ...]


# Since Linux 5.x new calls have one number everywhere: io_uring, the new mount API, pidfd_getfd, memfd_secret.
_NEW_MOUNT_CALLS = (428, 429, 430, 431, 432, 433, 442, 467)
_MODERN_REFUSED = (438, 440, *_NEW_MOUNT_CALLS)
_MODERN_ABSENT = (425, 426, 427, 447)

_X86_64 = _Machine(
    audit=0xC000003E,
    clone=56,
    clone3=435,
    socket=41,
    ioctl=16,
    refused=(
        *(101, 310, 311, 312),  # ptrace, process_vm_readv, process_vm_writev, kcmp
        *(248, 249, 250),  # add_key, request_key, keyctl
        *(321, 298, 323),  # bpf, perf_event_open, userfaultfd
        *(165, 166, 155, 161, 167, 168, 179),  # mount, umount2, pivot_root, chroot, swapon, swapoff, quotactl
        *(272, 308),  # unshare, setns
        *(246, 320, 175, 313, 176, 174, 169),  # kexec_load, kexec_file_load, modules in and out, reboot
        *(303, 304),  # name_to_handle_at, open_by_handle_at
        *(164, 227, 305, 159, 103, 163, 172, 173),  # clocks, syslog, acct, iopl, ioperm
        *(29, 68),  # shmget, msgget: memory that no process of the unit shows
        *(279, 256),  # move_pages, migrate_pages
        *_MODERN_REFUSED,
    ),
    absent=_MODERN_ABSENT,
)
_AARCH64 = _Machine(
    audit=0xC00000B7,
    clone=220,
    clone3=435,
    socket=198,
    ioctl=29,
    refused=(
        *(117, 270, 271, 272),
        *(217, 218, 219),
        *(280, 241, 282),
        *(40, 39, 41, 51, 224, 225, 60),
        *(97, 268),
        *(104, 294, 105, 273, 106, 142),
        *(264, 265),
        *(170, 112, 266, 171, 116, 89),
        *(194, 186),
        *(239, 238),
        *_MODERN_REFUSED,
    ),
    absent=_MODERN_ABSENT,
)
_MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}
_X32_BIT = 0x40000000


def supported(machine: str | None = None) -> bool:
    """Whether there is a filter for this processor architecture."""
    return (machine or platform.machine()) in _MACHINES


def program(machine: str | None = None) -> bytes:
    """The filter as an array of ``struct sock_filter``. Raises KeyError where ``supported`` says no."""
    chosen = _MACHINES[machine or platform.machine()]
    refuse = _ERRNO | errno.EPERM
    rules = [_op(_LOAD, _ARCH), *_unless_equal(chosen.audit, _KILL), _op(_LOAD, _NR)]
    if chosen is _X86_64:
        # The x32 calls of the same processor have other numbers and would slip past the list.
        rules += [_op(_JUMP_AT_LEAST, _X32_BIT, 0, 1), _op(_RETURN, _KILL)]
    for number in chosen.refused:
        rules += _when_equal(number, refuse)
    # glibc falls back from clone3 to clone, whose flags a filter can read.
    for number in (*chosen.absent, chosen.clone3):
        rules += _when_equal(number, _ERRNO | errno.ENOSYS)
    rules += _in_call(chosen.clone, [_op(_LOAD, _ARG0), _op(_JUMP_BITS, _ANY_NEW_NAMESPACE, 0, 1), _op(_RETURN, refuse)])
    rules += _in_call(chosen.ioctl, [_op(_LOAD, _ARG1), *_when_equal(_TIOCSTI, refuse), *_when_equal(_TIOCLINUX, refuse)])
    rules += _in_call(chosen.socket, _allow_families())
    return b"".join([*rules, _op(_RETURN, _ALLOW)])


def _allow_families() -> list[bytes]:
    allowed = [rule for family in _SOCKET_FAMILIES for rule in _when_equal(family, _ALLOW)]
    return [_op(_LOAD, _ARG0), *allowed, _op(_RETURN, _ERRNO | errno.EAFNOSUPPORT)]


def _in_call(number: int, body: list[bytes]) -> list[bytes]:
    """``body`` for one system call; falls through to an allow of that call, which later rules do not concern."""
    body = [*body, _op(_RETURN, _ALLOW)]
    return [_op(_JUMP_EQUAL, number, 0, len(body)), *body]


def _when_equal(value: int, verdict: int) -> list[bytes]:
    return [_op(_JUMP_EQUAL, value, 0, 1), _op(_RETURN, verdict)]


def _unless_equal(value: int, verdict: int) -> list[bytes]:
    return [_op(_JUMP_EQUAL, value, 1, 0), _op(_RETURN, verdict)]


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
