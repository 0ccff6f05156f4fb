"""What a unit can see of the host: its own folders, its own processes, no network, nobody's secrets."""

import os
import secrets
import socket
import threading
from pathlib import Path

import psutil
import pytest

from node_agent.sandbox import OutcomeStatus
from tests.sandbox.lab import Lab, poll, processes_with

pytestmark = pytest.mark.sandbox


def test_the_host_can_isolate(lab: Lab) -> None:
    assert lab.sandbox.check() == []


def test_an_honest_unit_yields_its_model_metrics_and_log(lab: Lab) -> None:
    run = lab.run(
        """
        model()
        print("epoch 1")
        print(json.dumps({"epoch": 1, "loss": 0.5}))
        print(json.dumps({"epoch": 2, "loss": 0.25}))
        """,
        parameters={"epochs": 2},
    )
    assert run.outcome.status is OutcomeStatus.SUCCEEDED, (run.outcome, run.log)
    assert [artifact.name for artifact in run.outcome.artifacts] == ["model.tar.gz", "metrics.jsonl"]
    assert run.outcome.metrics == {"epoch": 2.0, "loss": 0.25}
    assert b"epoch 1\n" in run.log
    assert run.outcome.peak_memory_mb > 0


def test_files_of_the_host_do_not_exist_inside(lab: Lab, tmp_path: Path, home_secret: Path) -> None:
    secret = tmp_path / "state" / "device-key.json"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("nk_secret")
    homes = [str(Path.home() / name) for name in (".ssh", ".aws", ".config", ".bashrc", ".gnupg")]
    targets = [
        str(secret),
        str(home_secret),
        str(tmp_path),
        "/etc/shadow",
        "/etc/hostname",
        "/home",
        "/var",
        "/run",
        "/sys",
        "/boot",
        *homes,
    ]
    run = lab.run(f"say(found=[path for path in {targets!r} if os.path.exists(path)])\nmodel()")
    assert run.said["found"] == []


def test_beside_its_own_folders_a_unit_sees_only_the_system_and_python(lab: Lab) -> None:
    run = lab.run("say(root=sorted(os.listdir('/')), etc=sorted(os.listdir('/etc')), opt=sorted(os.listdir('/opt')))\nmodel()")
    allowed = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "sbin", "tmp", "usr"}
    prefixes = {Path(os.path.realpath(path)).parts[1] for path in (os.__file__, lab._environment)}
    assert set(run.said["root"]) <= allowed | prefixes  # type: ignore[arg-type]
    assert set(run.said["etc"]) <= {"alternatives", "group", "hosts", "ld.so.cache", "localtime", "nsswitch.conf", "passwd"}  # type: ignore[arg-type]
    assert run.said["opt"] == ["gpupool", "ml"] or "opt" in prefixes


def test_neighbours_of_the_environment_and_the_interpreter_are_invisible(lab: Lab) -> None:
    (lab._environment.parent / "other-customer").mkdir(exist_ok=True)
    run = lab.run(f"say(seen=os.listdir({str(lab._environment.parent)!r}))\nmodel()")
    assert run.said["seen"] == [lab._environment.name]


@pytest.mark.parametrize(
    "target",
    [
        *("/x", "/usr/x", "/etc/x", "/etc/passwd", "/dev/x", "/opt/x", "/opt/gpupool/inside/__main__.py"),
        *("/proc/sys/kernel/hostname", "/proc/sysrq-trigger"),
        *("/opt/gpupool/inputs/package.zip", "/opt/ml/input/config/unit.json"),
    ],
)
def test_nothing_but_its_own_folders_can_be_written(lab: Lab, target: str) -> None:
    run = lab.run(f"attempt('write', lambda: open({target!r}, 'a').write('x'))\nmodel()")
    assert str(run.said["write"]).startswith("refused"), run.said


def test_interpreter_and_environment_cannot_be_written(lab: Lab) -> None:
    run = lab.run(
        """
        attempt("library", lambda: open(os.__file__, "a").write("x"))
        attempt("environment", lambda: open(sys.prefix + "/pyvenv.cfg", "a").write("x"))
        attempt("planted", lambda: open(sys.prefix + "/lib/planted.pth", "w").write("x"))
        model()
        """
    )
    assert {word.split()[0] for word in run.said.values()} == {"refused"}, run.said  # type: ignore[attr-defined]


def test_the_agents_environment_does_not_leak(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(16)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    run = lab.run(
        """
        seen = []
        for pid in [entry for entry in os.listdir("/proc") if entry.isdigit()]:
            for name in ("environ", "cmdline"):
                try: seen.append(open(f"/proc/{pid}/{name}", "rb").read().decode())
                except OSError as error: seen.append(repr(error))
        say(seen=seen, own=sorted(os.environ))
        model()
        """
    )
    assert secret not in str(run.said)
    assert {name for name in run.said["own"] if not name.startswith("SM_")} <= {  # type: ignore[attr-defined]
        *("PATH", "HOME", "TMPDIR", "USER", "LANG", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS"),
        *("LC_CTYPE", "PWD"),
    }


def test_command_lines_inside_name_no_path_of_the_host(lab: Lab, tmp_path: Path) -> None:
    run = lab.run(
        """
        pids = [entry for entry in os.listdir("/proc") if entry.isdigit()]
        say(lines=[open(f"/proc/{pid}/cmdline").read() for pid in pids], count=len(pids))
        model()
        """
    )
    assert str(tmp_path) not in str(run.said["lines"])
    assert run.said["count"] == 3, "init, the program inside and the script"


def test_no_descriptor_is_inherited(lab: Lab) -> None:
    run = lab.run("say(open=sorted(os.listdir('/proc/self/fd')), two=os.listdir('/proc/2/fd'))\nmodel()")
    assert run.said["open"] == ["0", "1", "2", "3"], "3 is the listing itself"


def test_the_host_answers_on_no_address(lab: Lab) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        addresses = ["127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.1.1", "8.8.8.8", *_own_addresses()]
        run = lab.run(
            f"""
            for address in {addresses!r}:
                for port in ({port}, 80, 53):
                    attempt(f"{{address}}:{{port}}", lambda: socket.create_connection((address, port), timeout=2))
            attempt("name", lambda: socket.getaddrinfo("example.com", 80))
            say(interfaces=[name for _, name in socket.if_nameindex()])
            model()
            """
        )
    facts = dict(run.said)
    assert facts.pop("interfaces") == ["lo"]
    assert {str(word).split()[0] for word in facts.values()} == {"refused"}, facts


def test_abstract_sockets_of_the_host_are_out_of_reach(lab: Lab) -> None:
    name = f"\0gpupool-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        run = lab.run(f"attempt('connect', lambda: socket.socket(socket.AF_UNIX).connect({name!r}))\nmodel()")
    assert run.said["connect"] == "refused ConnectionRefusedError"


def test_socket_families_that_ignore_network_namespaces_are_refused(lab: Lab) -> None:
    families = {"vsock": 40, "packet": 17, "alg": 38, "bluetooth": 31, "xdp": 44, "tipc": 30, "rds": 21}
    lines = [f"attempt({name!r}, lambda: socket.socket({number}, 2))" for name, number in families.items()]
    run = lab.run("\n".join([*lines, "model()"]))
    assert {str(word).split()[0] for word in run.said.values()} == {"refused"}, run.said


def test_a_unit_is_nobody_on_the_host(lab: Lab) -> None:
    marker = f"marker-{secrets.token_hex(8)}"
    flight = lab.start("print('up', flush=True)\ntime.sleep(60)", args=(marker,))
    flight.wait_for(b"up\n")
    status = Path(f"/proc/{processes_with(marker)[-1]}/status").read_text()
    flight.unit.cancel()
    flight.end()
    users = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    assert "0" not in users, "the script runs as root of the host"
    assert f"CapEff:\t{0:016x}" in status
    assert f"CapBnd:\t{0:016x}" in status
    assert f"CapInh:\t{0:016x}" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert "Groups:\t \n" in status or os.geteuid() != 0


def test_init_is_as_powerless_as_the_script(lab: Lab) -> None:
    """Where both have one user, the script may write init's memory; it must gain nothing by that."""
    run = lab.run("say(status=dict(line.split(':', 1) for line in open('/proc/1/status').read().splitlines()))\nmodel()")
    status = {name: value.strip() for name, value in run.said["status"].items()}  # type: ignore[attr-defined]
    assert (status["CapPrm"], status["CapEff"], status["CapInh"]) == ("0" * 16,) * 3
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_setuid_programs_give_nothing(lab: Lab) -> None:
    run = lab.run(
        """
        import shutil
        copy = "/opt/ml/model/tool"
        shutil.copy("/usr/bin/id", copy)
        attempt("chmod", lambda: os.chmod(copy, 0o6755))
        say(id=subprocess.run([copy, "-u"], capture_output=True, text=True).stdout.strip(), own=str(os.getuid()))
        say(su=subprocess.run("su -c id; mount -t tmpfs x /opt/ml/code", shell=True, capture_output=True).returncode)
        attempt("setuid", lambda: os.setuid(0))
        attempt("mknod", lambda: os.mknod("/opt/ml/model/sda", 0o660 | stat.S_IFBLK, os.makedev(8, 0)))
        """
    )
    assert run.said["id"] == run.said["own"]
    assert run.said["su"] != 0
    assert str(run.said["setuid"]).startswith("refused")
    assert str(run.said["mknod"]).startswith("refused")


def test_a_script_cannot_end_or_enter_what_is_not_its_own(lab: Lab) -> None:
    run = lab.run(
        """
        attempt("root", lambda: os.listdir("/proc/1/root/home"))
        attempt("cwd", lambda: os.listdir("/proc/1/cwd/../../../home"))
        attempt("host", lambda: os.kill(os.getpid() + 5000, 9))
        os.kill(1, signal.SIGTERM) if os.getuid() == 1000 else None
        model()
        """
    )
    assert {str(word).split()[0] for word in run.said.values()} == {"refused"}, run.said
    assert run.outcome.status is OutcomeStatus.SUCCEEDED, run.outcome


def test_two_units_do_not_see_each_other(lab: Lab) -> None:
    marker = f"marker-{secrets.token_hex(8)}"
    victim = lab.start("open('/tmp/token', 'w').write('x')\nprint('up', flush=True)\ntime.sleep(60)", args=(marker,))
    victim.wait_for(b"up\n")
    spy = lab.run(
        """
        lines = [open(f"/proc/{pid}/cmdline").read() for pid in os.listdir("/proc") if pid.isdigit()]
        say(lines=lines, token=os.path.exists("/tmp/token"))
        model()
        """
    )
    victim.unit.cancel()
    victim.end()
    assert marker not in str(spy.said["lines"])
    assert spy.said["token"] is False


def test_a_finished_unit_leaves_no_process(lab: Lab) -> None:
    marker = f"marker-{secrets.token_hex(8)}"
    run = lab.run(
        f"""
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                if os.fork() == 0:
                    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(1000)", {marker!r}])
                os._exit(0)
        time.sleep(0.3)
        model()
        """
    )
    assert run.outcome.status is OutcomeStatus.SUCCEEDED, run.outcome
    poll(lambda: processes_with(marker) == [], seconds=2, what="the end of every grandchild")
    assert threading.active_count() < 20


def _own_addresses() -> list[str]:
    cards = psutil.net_if_addrs().values()
    return [address.address for card in cards for address in card if address.family is socket.AF_INET]


def test_a_gpu_unit_sees_the_driver_but_not_whose_machine_it_is(lab: Lab) -> None:
    run = lab.run(
        """
        def inside(folder): return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        cards = inside("/sys/class/net")
        say(driver=os.path.isdir("/sys/devices/system/cpu"), cards=cards)
        say(told=[name for card in cards for name in inside("/sys/class/net/" + card)])
        say(disks=[name for disk in inside("/sys/class/block") for name in inside("/sys/class/block/" + disk)])
        attempt("write", lambda: open("/sys/kernel/mm/ksm/run", "w").write("1"))
        model()
        """,
        has_gpu=True,
    )
    assert run.outcome.status is OutcomeStatus.SUCCEEDED, (run.outcome, run.log)
    assert run.said["driver"] is True
    assert (run.said["told"], run.said["disks"]) == ([], [])
    assert str(run.said["write"]).startswith("refused")
