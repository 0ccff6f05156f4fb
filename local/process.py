"""Starting, finding and stopping the emulator's process."""

import hashlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from local.layout import LOCK_FILE, PROJECT_PYTHON, REPO_ROOT, Layout

DEFAULT_PORT = 4566
REGION = "us-east-1"
_SERVER = REPO_ROOT / "local" / "emulator" / "server.py"
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 25
# Emulators that this process started. The entry keeps the pipe open that one started `with_parent` watches.
_children: dict[int, "subprocess.Popen[bytes]"] = {}
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")


class EmulatorError(Exception):
    """The emulator did not start or stop; the message says why and ends with its log's tail where there is one."""


@dataclass(frozen=True)
class RootKeys:
    """The access key that the emulator takes for the account's root; made once per state directory."""

    access_key_id: str
    secret_access_key: str

    @classmethod
    def make(cls) -> "RootKeys":
        return cls(access_key_id=f"AKIA{secrets.token_hex(8).upper()}", secret_access_key=secrets.token_urlsafe(30))


@dataclass(frozen=True)
class Running:
    """A started emulator. `born` is the process's start time, which tells it from a later process with the same id.

    `build` names the launcher and the patches that it was started with.
    """

    pid: int
    born: float
    port: int
    build: str = ""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            return bool(abs(process.create_time() - self.born) < 1.0 and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


def find_running(layout: Layout) -> Running | None:
    """The emulator of this runtime directory; a pid file that outlived its process is removed."""
    try:
        running = Running(**json.loads(layout.pid_file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if running.is_alive():
        return running
    layout.pid_file.unlink(missing_ok=True)
    return None


def emulator_build() -> str:
    """A digest of the emulator's lock, launcher and patches as they are on disk."""
    digest = hashlib.sha256(LOCK_FILE.read_bytes())
    for path in sorted(_SERVER.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def choose_port(*, wanted: int | None) -> int:
    """`wanted` if it is free, else an error; without a wish the default port, or any free one when that is taken."""
    if wanted is not None:
        if not _is_free(wanted):
            raise EmulatorError(f"port {wanted} is in use by another program; choose another with --port")
        return wanted
    return DEFAULT_PORT if _is_free(DEFAULT_PORT) else free_port()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def start(*, layout: Layout, python: Path, port: int, keys: RootKeys, with_parent: bool = False) -> Running:
    """Start the emulator and wait until it answers.

    With `with_parent` it ends when the caller's process does, however that ends. Raises EmulatorError with the log's
    tail when it dies or does not answer in time; nothing is left running then.
    """
    shutil.rmtree(layout.run / "tmp", ignore_errors=True)  # what a killed emulator's workers left
    for folder in (layout.state, layout.run / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    with layout.log_file.open("wb") as log:
        process = subprocess.Popen(
            [str(python), str(_SERVER)],
            cwd=layout.run,
            env=_environment(layout=layout, port=port, keys=keys, with_parent=with_parent),
            stdin=subprocess.PIPE if with_parent else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[process.pid] = process
    born = psutil.Process(process.pid).create_time()
    running = Running(pid=process.pid, born=born, port=port, build=emulator_build())
    layout.pid_file.write_text(json.dumps(asdict(running)))
    try:
        _wait_until_ready(process, port=port, layout=layout)
    except BaseException:
        stop(running, layout=layout)
        raise
    return running


def _environment(*, layout: Layout, port: int, keys: RootKeys, with_parent: bool) -> dict[str, str]:
    """The emulator's whole environment. Handlers inherit it, so nothing of the caller's shell but the basics gets in."""
    basics = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return basics | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AUTH": "true",
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        "STATE_DIR": str(layout.state / "services"),
        "S3_DATA_DIR": str(layout.state / "s3"),
        "TMPDIR": str(layout.run / "tmp"),
        "LAMBDA_PYTHON": str(PROJECT_PYTHON),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "POWERTOOLS_TRACE_DISABLED": "1",
        "PYTHONUNBUFFERED": "1",
        "GPUPOOL_EXIT_WITH_STDIN": "1" if with_parent else "0",
    }


def _wait_until_ready(process: "subprocess.Popen[bytes]", *, port: int, layout: Layout) -> None:
    pause = threading.Event()
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EmulatorError(f"the emulator died at start (exit {process.returncode}):\n{log_tail(layout)}")
        if _answers(port):
            return
        pause.wait(_POLL_SECONDS)
    raise EmulatorError(f"the emulator did not answer within {_START_SECONDS:.0f} s:\n{log_tail(layout)}")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def log_tail(layout: Layout) -> str:
    """The last lines that the emulator wrote."""
    try:
        lines = layout.log_file.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(lines[-_LOG_TAIL_LINES:]) or "(the log is empty)"


def stop(running: Running, *, layout: Layout) -> bool:
    """Stop the emulator; True when it ended by itself and saved its state, False when it had to be killed."""
    clean = _signal_and_wait(running, signal.SIGTERM, seconds=_STOP_SECONDS)
    if not clean:
        kill(running, layout=layout)
    _bury(running, layout=layout)
    return clean


def kill(running: Running, *, layout: Layout) -> None:
    """End the emulator without a chance to save anything, as a crash of the machine would."""
    _signal_and_wait(running, signal.SIGKILL, seconds=2.0)
    _bury(running, layout=layout)


def _bury(running: Running, *, layout: Layout) -> None:
    layout.pid_file.unlink(missing_ok=True)
    child = _children.pop(running.pid, None)
    if child is not None:
        child.wait()
        if child.stdin is not None:
            child.stdin.close()


def _signal_and_wait(running: Running, number: signal.Signals, *, seconds: float) -> bool:
    if not running.is_alive():
        return True
    os.kill(running.pid, number)
    try:
        psutil.Process(running.pid).wait(timeout=seconds)
    except psutil.TimeoutExpired:
        return False
    except psutil.NoSuchProcess:
        return True
    return True
