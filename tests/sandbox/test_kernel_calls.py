"""System calls that lead out of a sandbox or into the kernel are refused, not merely useless."""

import errno
import platform

import pytest

from node_agent.sandbox import seccomp
from tests.sandbox.lab import Lab

pytestmark = pytest.mark.sandbox

_X86_64 = {
    "ptrace": (101, 0, 0, 0, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "keyctl": (250, 0, -3, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "umount": (166, 0, 0),
    "pivot_root": (155, 0, 0),
    "chroot": (161, 0),
    "unshare user": (272, 0x10000000),
    "unshare mount": (272, 0x00020000),
    "setns": (308, 0, 0),
    "clone into a user namespace": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0),
    "finit_module": (313, 0, 0, 0),
    "open_by_handle_at": (304, -1, 0, 0),
    "name_to_handle_at": (303, -1, 0, 0, 0, 0),
    "syslog": (103, 3, 0, 0),
    "reboot": (169, 0, 0, 0, 0),
    "swapon": (167, 0, 0),
    "shmget": (29, 0, 4096, 0o1600),
    "open_tree": (428, -100, 0, 1),
    "move_mount": (429, 0, 0, 0, 0, 0),
    "fsopen": (430, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0),
    "terminal injection": (16, 0, 0x5412, 0),
}
_X86_64_ABSENT = {"clone3": (435, 0, 0), "io_uring_setup": (425, 1, 0), "memfd_secret": (447, 0)}


@pytest.fixture
def numbers() -> None:
    assert platform.machine() == "x86_64", "the numbers of this table are for x86_64; add this machine's"


def test_dangerous_calls_are_refused(lab: Lab, numbers: None) -> None:
    run = lab.run(
        f"""
        for table in ({_X86_64!r}, {_X86_64_ABSENT!r}):
            for name, call in table.items():
                ctypes.set_errno(0)
                result = libc.syscall(*call)
                say(**{{name: ctypes.get_errno() if result < 0 else "did"}})
        model()
        """
    )
    said = run.said
    assert {name: said[name] for name in _X86_64} == dict.fromkeys(_X86_64, errno.EPERM)
    assert {name: said[name] for name in _X86_64_ABSENT} == dict.fromkeys(_X86_64_ABSENT, errno.ENOSYS)


def test_calls_of_the_processors_other_interfaces_kill(lab: Lab, numbers: None) -> None:
    run = lab.run(
        """
        child = os.fork()
        if child == 0:
            libc.syscall(0x40000000 + 39)
            os._exit(0)
        say(x32=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        model()
        """
    )
    assert run.said["x32"] == -31, "SIGSYS"


def test_ordinary_work_is_not_hindered(lab: Lab) -> None:
    run = lab.run(
        """
        import multiprocessing, multiprocessing.shared_memory, concurrent.futures, asyncio, tempfile, sqlite3, ssl
        with concurrent.futures.ThreadPoolExecutor(4) as pool: say(threads=sum(pool.map(abs, range(-4, 0))))
        with multiprocessing.get_context("fork").Pool(2) as pool: say(forked=pool.map(abs, [-1, -2]))
        block = multiprocessing.shared_memory.SharedMemory(create=True, size=1 << 20)
        block.close(); block.unlink()
        a, b = socket.socketpair()
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(server.getsockname())
        asyncio.run(asyncio.sleep(0))
        say(shell=subprocess.run("echo hello | tr a-z A-Z", shell=True, capture_output=True, text=True).stdout)
        say(host=socket.gethostname(), user=__import__("pwd").getpwuid(os.getuid()).pw_name, home=os.path.expanduser("~"))
        os.makedirs(os.path.expanduser("~/.cache/x"))
        tempfile.NamedTemporaryFile().write(b"x")
        model()
        """
    )
    assert run.said["threads"] == 10, run.log
    assert run.said["forked"] == [1, 2]
    assert run.said["shell"] == "HELLO\n"
    assert (run.said["host"], run.said["user"], run.said["home"]) == ("algo-1", "unit", "/tmp/home")
    assert run.outcome.code is None, (run.outcome, run.log)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_lands_inside_it(machine: str) -> None:
    program = seccomp.program(machine)
    count = len(program) // 8
    assert len(program) % 8 == 0
    assert count < 4096, "the kernel's limit"
    for index in range(count):
        code, if_true, if_false = program[index * 8], program[index * 8 + 2], program[index * 8 + 3]
        if code & 0x07 == 0x05:
            assert index + 1 + max(if_true, if_false) < count
    assert program[-8] == 0x06, "it ends with a return"


def test_an_unknown_processor_has_no_filter() -> None:
    assert not seccomp.supported("mips")
