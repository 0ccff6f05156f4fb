"""Every bound ends the unit that breaks it, with the failure code that names the bound, and spares the host."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpupool.wire.failures import FailureCode
from node_agent.sandbox import OutcomeStatus
from tests.sandbox.lab import ROOMY, Lab, Run, poll, processes_with

pytestmark = pytest.mark.sandbox


@pytest.fixture(params=[True, False], ids=["control-groups", "watch-alone"])
def lab(request: pytest.FixtureRequest, tmp_path: Path, environment: Path) -> Iterator[Lab]:
    """Many home machines allow no control groups: every bound has to hold without them."""
    laboratory = Lab(tmp_path / "state" / "work", environment, control_groups=request.param)
    yield laboratory
    laboratory.sandbox.destroy(tmp_path / "state")


def _assert_failed(run: Run, code: FailureCode) -> None:
    assert run.outcome.code is code, (run.outcome, run.log[-2000:])
    assert run.outcome.status is OutcomeStatus.FAILED
    assert run.outcome.message
    assert run.outcome.artifacts == ()


def test_wall_clock_ends_a_unit_after_telling_it(lab: Lab) -> None:
    run = lab.run(
        """
        def goodbye(*_):
            print("saving", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, goodbye)
        time.sleep(60)
        """,
        limits=replace(ROOMY, wall_seconds=1),
    )
    _assert_failed(run, FailureCode.TIMED_OUT)
    assert b"saving" in run.log
    assert run.outcome.runtime_seconds < 5


def test_wall_clock_ends_a_unit_that_does_not_listen(lab: Lab) -> None:
    marker = f"marker-{secrets.token_hex(8)}"
    run = lab.run(
        """
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True: pass
        """,
        limits=replace(ROOMY, wall_seconds=1),
        args=(marker,),
    )
    _assert_failed(run, FailureCode.TIMED_OUT)
    assert run.outcome.runtime_seconds < 6
    assert processes_with(marker) == []


def test_cancel_ends_a_unit_with_all_its_processes(lab: Lab) -> None:
    marker = f"marker-{secrets.token_hex(8)}"
    flight = lab.start(
        """
        for _ in range(5):
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                while True: time.sleep(1)
        print("up", flush=True)
        while True: time.sleep(1)
        """,
        args=(marker,),
    )
    flight.wait_for(b"up\n")
    assert len(processes_with(marker)) >= 6
    flight.unit.cancel()
    flight.unit.cancel()
    run = flight.end()
    assert run.outcome.status is OutcomeStatus.CANCELLED
    assert run.outcome.code is None
    assert processes_with(marker) == []


def test_a_memory_bomb_in_one_process(lab: Lab) -> None:
    run = lab.run("held = []\nwhile True: held.append(bytearray(16 << 20))")
    _assert_failed(run, FailureCode.OUT_OF_MEMORY)


def test_one_allocation_larger_than_the_machine(lab: Lab) -> None:
    _assert_failed(lab.run("held = bytearray(1 << 40)"), FailureCode.OUT_OF_MEMORY)


def test_a_memory_bomb_spread_over_processes(lab: Lab) -> None:
    run = lab.run(
        """
        for _ in range(16):
            if os.fork() == 0:
                held = bytearray(os.urandom(1 << 20)) * 64
                time.sleep(60)
                os._exit(0)
        time.sleep(60)
        """
    )
    _assert_failed(run, FailureCode.OUT_OF_MEMORY)


@pytest.mark.parametrize("where", ["/tmp", "/dev/shm"])
def test_memory_backed_folders_are_bounded(lab: Lab, where: str) -> None:
    run = lab.run(
        f"""
        size = os.statvfs({where!r})
        say(mb=size.f_blocks * size.f_frsize >> 20)
        with open({where!r} + "/bomb", "wb") as bomb:
            while True: bomb.write(bytes(1 << 20))
        """
    )
    assert run.said["mb"] == ROOMY.memory_mb // 2
    assert run.outcome.code in (FailureCode.DISK_FULL, FailureCode.OUT_OF_MEMORY), run.outcome


def test_memory_hidden_in_anonymous_files(lab: Lab) -> None:
    run = lab.run(
        """
        held = [os.memfd_create(str(number)) for number in range(64)]
        for descriptor in held:
            for _ in range(64): os.write(descriptor, bytes(1 << 20))
        time.sleep(60)
        """
    )
    _assert_failed(run, FailureCode.OUT_OF_MEMORY)


def test_a_fork_bomb(lab: Lab) -> None:
    marker = f"marker-{secrets.token_hex(8)}"
    run = lab.run(
        """
        while True:
            try: os.fork()
            except OSError: pass
        """,
        args=(marker,),
    )
    _assert_failed(run, FailureCode.PROCESS_LIMIT_EXCEEDED)
    assert processes_with(marker) == []


def test_a_thread_bomb(lab: Lab) -> None:
    run = lab.run("for _ in range(5000): threading.Thread(target=time.sleep, args=(60,)).start()")
    _assert_failed(run, FailureCode.PROCESS_LIMIT_EXCEEDED)


def test_a_disk_bomb_in_one_file(lab: Lab) -> None:
    run = lab.run(
        """
        with open("/opt/ml/model/bomb", "wb") as bomb:
            while True: bomb.write(bytes(1 << 20))
        """
    )
    _assert_failed(run, FailureCode.DISK_FULL)


def test_a_disk_bomb_in_many_files(lab: Lab) -> None:
    run = lab.run(
        """
        number = 0
        while True:
            open(f"/opt/ml/model/{number}", "wb").write(bytes(4 << 20))
            number += 1
            time.sleep(0.005)
        """
    )
    _assert_failed(run, FailureCode.DISK_FULL)


def test_a_disk_bomb_in_deleted_files(lab: Lab) -> None:
    run = lab.run(
        """
        held = []
        while True:
            held.append(open("/opt/ml/model/x", "wb"))
            os.unlink("/opt/ml/model/x")
            held[-1].write(bytes(4 << 20))
            held[-1].flush()
            time.sleep(0.005)
        """
    )
    _assert_failed(run, FailureCode.DISK_FULL)


def test_a_folder_bomb(lab: Lab) -> None:
    run = lab.run(
        """
        os.chdir("/opt/ml/model")
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
        time.sleep(60)
        """
    )
    _assert_failed(run, FailureCode.DISK_FULL)
    lab.sandbox.destroy(run.root)
    assert not run.root.exists()


def test_folders_without_permissions_are_removed_too(lab: Lab) -> None:
    run = lab.run("model()\nos.makedirs('/opt/ml/code/a/b')\nos.chmod('/opt/ml/code/a', 0)")
    lab.sandbox.destroy(run.root)
    assert not run.root.exists()


def test_a_log_flood_keeps_its_head_and_its_tail(lab: Lab) -> None:
    limit = 100_000
    run = lab.run(
        "print('first words', flush=True)\nwhile True: sys.stdout.write('spam ' * 1000)",
        limits=replace(ROOMY, log_bytes=limit),
    )
    _assert_failed(run, FailureCode.LOG_LIMIT_EXCEEDED)
    assert run.log.startswith(b"first words\n")
    assert b"[log limit reached" in run.log
    assert limit < len(run.log) < limit + 500_000


def test_a_flood_without_newlines_is_only_a_flood(lab: Lab) -> None:
    run = lab.run("while True: sys.stdout.write('{' * 65536)", limits=replace(ROOMY, log_bytes=1 << 20))
    _assert_failed(run, FailureCode.LOG_LIMIT_EXCEEDED)


def test_output_larger_than_allowed(lab: Lab) -> None:
    run = lab.run("open('/opt/ml/model/m', 'wb').write(os.urandom(4 << 20))", limits=replace(ROOMY, output_bytes=1 << 20))
    _assert_failed(run, FailureCode.OUTPUT_TOO_LARGE)


def test_usage_is_sampled_while_a_unit_runs(lab: Lab) -> None:
    flight = lab.start("held = bytearray(os.urandom(1 << 20)) * 100\nprint('up', flush=True)\ntime.sleep(60)")
    flight.wait_for(b"up\n")
    poll(lambda: flight.unit.usage().memory_mb >= 100, seconds=5, what="a memory sample")
    usage = flight.unit.usage()
    flight.unit.cancel()
    run = flight.end()
    assert usage.processes >= 2
    assert run.outcome.peak_memory_mb >= 100
