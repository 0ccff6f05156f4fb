"""Scripts that fail, each in its way: the unit ends with that cause, nothing is charged for it, nothing got out."""

import json
from pathlib import Path

import pytest

from local.bringup import LocalStack
from tests.stack import packages
from tests.stack.customers import Customer, Json, check_books
from tests.stack.machines import Machines

pytestmark = pytest.mark.stack

CRASH = """
    def look(): raise RuntimeError("the data is upside down")
    print("loading", flush=True)
    look()
"""
# More than any address space holds: the limit itself is tried in tests/sandbox, where it is small enough for any machine.
HOG = "hoard = bytearray(1 << 48)"
OVERSLEEP = """
    import threading
    print("sleeping", flush=True)
    threading.Event().wait(600)
"""
FLOOD = """
    import sys
    line = "x" * 1023 + "\\n"
    while True:
        sys.stdout.write(line * 64)
"""
NO_MODEL = 'print("all done", flush=True)'

# Name of the job: its package, the failing unit, the cause, attempts, and a word of the log's tail.
BAD = {
    "crash": (packages.script(CRASH), "train", "SCRIPT_FAILED", 2, "RuntimeError: the data is upside down"),
    "no-model": (packages.script(NO_MODEL), "train", "NO_MODEL", 1, "all done"),
    "flood": (packages.script(FLOOD), "train", "LOG_LIMIT_EXCEEDED", 1, "xxxx"),
    "oversleep": (packages.one_unit(OVERSLEEP, max_runtime_seconds=2), "run", "TIMED_OUT", 1, "sleeping"),
    "hog": (packages.one_unit(HOG, max_runtime_seconds=60), "run", "OUT_OF_MEMORY", 2, "MemoryError"),
}


@pytest.fixture(scope="module")
def submitted(customer: Customer, machines: Machines, desk: Path) -> dict[str, Json]:
    """All bad jobs at once, so that the machines work on several."""
    return {name: customer.train(package, desk, name=name) for name, (package, *_) in BAD.items()}


@pytest.mark.parametrize("name", BAD)
def test_bad_script_ends_as_its_cause(customer: Customer, submitted: dict[str, Json], name: str) -> None:
    _, unit_name, code, attempts, last_words = BAD[name]
    job = customer.ended(submitted[name])
    unit = customer.unit(job, unit_name)

    assert job["status"] == "failed"
    assert job["failure"] == {key: unit["failure"][key] for key in ("code", "blame", "message", "unit_id")}
    assert (job["failure"]["code"], job["failure"]["blame"], job["failure"]["unit_id"]) == (code, "user", unit["id"])
    assert len(job["failure"]["message"]) > 10
    assert (unit["status"], unit["attempt"], unit["failure"]["attempt"]) == ("failed", attempts, attempts)
    assert last_words in unit["failure"]["log_tail"]
    assert (unit["credits"], unit["progress"]["fraction"]) == (0, None)
    debited = [entry["unit_id"] for entry in check_books(customer, job) if entry["kind"] == "debit"]
    assert unit["id"] not in debited
    later = [each for each in customer.client.units(job["id"]) if unit["id"] in each["needs"]]
    assert all(each["status"] == "cancelled" for each in later)


def test_crash_leaves_its_traceback_in_tail_and_log(customer: Customer, submitted: dict[str, Json]) -> None:
    job = customer.ended(submitted["crash"])
    unit = customer.unit(job, "train")

    assert unit["failure"]["exit_code"] == 1
    assert "Traceback (most recent call last)" in unit["failure"]["log_tail"]
    assert "the data is upside down" in job["failure"]["message"]
    log = customer.artifact(job, "train", "log.txt")
    assert log.startswith(b"loading\nTraceback")
    assert b"in look" in log


def test_flood_keeps_a_bounded_log(customer: Customer, submitted: dict[str, Json]) -> None:
    job = customer.ended(submitted["flood"])

    assert len(customer.unit(job, "train")["failure"]["log_tail"]) <= 8_000
    assert len(customer.artifact(job, "train", "log.txt")) <= 10 * 1024 * 1024


def test_good_work_goes_on_after_all_that(customer: Customer, submitted: dict[str, Json], desk: Path) -> None:
    for job in submitted.values():
        customer.ended(job)

    job = customer.ended(customer.train(packages.script(packages.TRAIN), desk))

    assert job["status"] == "completed"
    assert customer.balance()["held"] == 0


PROBE = """
    import json, os, pathlib, socket, sys, urllib.request
    hosts, files = (json.loads(os.environ["SM_HPS"])[name].split(",") for name in ("hosts", "files"))
    reached = []

    def attempt(what, call):
        try:
            reached.append([what, str(call())[:80]])
        except Exception as error:
            print("refused", what, type(error).__name__, flush=True)

    def connect(where):
        host, port = where.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=2):
            return "connected"

    for host in hosts:
        attempt("tcp " + host, lambda: connect(host))
    attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("8.8.8.8", 53)))
    attempt("dns", lambda: socket.getaddrinfo("example.com", 443))
    attempt("http", lambda: urllib.request.urlopen("http://" + hosts[0], timeout=2).status)
    for file in files:
        attempt("read " + file, lambda: open(file, "rb").read(40))
        attempt("find " + file, lambda: os.stat(file).st_size)
    attempt("write", lambda: open("/usr/bin/planted", "w"))
    secrets = sorted(name for name in os.environ if name.startswith(("AWS_", "GPU_AGENT_")) or "TOKEN" in name)
    processes = [pathlib.Path("/proc", name, "cmdline").read_bytes() for name in os.listdir("/proc") if name.isdigit()]
    others = [words.decode() for words in processes if b"node_agent" in words]
    report = {"reached": reached, "secrets": secrets, "others": others, "user": os.getuid()}
    pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.json").write_text(json.dumps(report))
"""
PROBE_MANIFEST = """
    [package]
    entry = "train.py"
    [parameters]
    hosts = ""
    files = ""
"""


def test_script_reaches_neither_network_nor_home(
    local_stack: LocalStack, customer: Customer, machines: Machines, desk: Path
) -> None:
    identity = machines.folder("north") / "identity.json"
    private = desk / "private.txt"
    private.write_text("a diary")
    assert "device_key" in identity.read_text()
    port = local_stack.endpoint.rsplit(":", 1)[1]
    hosts = [f"127.0.0.1:{port}", "169.254.169.254:80", "1.1.1.1:53"]
    files = [str(identity), str(private), str(Path.home() / ".profile"), "/etc/shadow", str(Path(__file__))]
    source = PROBE + f"\n    {packages.MODEL}\n"
    package = packages.package(train_py=source, gpu_agent_toml=PROBE_MANIFEST)

    parameters = {"hosts": ",".join(hosts), "files": ",".join(files)}
    job = customer.ended(customer.train(package, desk, parameters=parameters))

    assert job["status"] == "completed", job
    report = json.loads(packages.unpacked(customer.artifact(job, "train", "output.tar.gz"))["report.json"])
    assert report["reached"] == []
    assert (report["secrets"], report["others"]) == ([], [])
    assert report["user"] != 0
    assert b"refused tcp" in customer.artifact(job, "train", "log.txt")
