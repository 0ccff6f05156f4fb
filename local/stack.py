"""The local stack from the command line: `python -m local.stack up | down | status`."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from local import bringup, environment, process
from local.bringup import Wishes
from local.deploy import DeployError
from local.layout import DEFAULT_LAYOUT, Layout
from local.locks import exclusive
from local.process import EmulatorError
from local.seed import SeedError
from local.synth import SynthError
from local.toolchain import ToolchainError

_FAILED = 1
_INTERRUPTED = 130
_MEGABYTE = 1_000_000


class BusyError(Exception):
    """Another `up` or `down` works on the same stack."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 for success, 1 for a failure that was explained, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    layout = Layout(home=options.home)
    commands: dict[str, Callable[[argparse.Namespace, Layout], int]] = {"up": _up, "down": _down, "status": _status}
    try:
        return commands[options.command](options, layout)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return _INTERRUPTED
    except (BusyError, DeployError, EmulatorError, SeedError, SynthError, ToolchainError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.stack", description=__doc__)
    parser.add_argument("--home", type=Path, default=DEFAULT_LAYOUT.home, help="runtime directory (default: .local)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the emulator and deploy the present sources")
    up.add_argument("--port", type=int, default=None, help="port of the emulator (default: 4566, or a free one)")
    up.add_argument("--no-customer", dest="customer", action="store_false", help="do not make the demo customer")
    down = commands.add_parser("down", help="stop the emulator; its state is kept")
    down.add_argument("--wipe", action="store_true", help="also remove the state, the keys and stack.env")
    commands.add_parser("status", help="say what runs")
    return parser


def _up(options: argparse.Namespace, layout: Layout) -> int:
    say = _clocked()
    with _only_one(layout):
        wishes = Wishes(port=options.port, customer=options.customer)
        stack = bringup.bring_up(layout=layout, wishes=wishes, say=say)
    say(f"ready: {stack.api}")
    say(f"settings and keys: {layout.env_file}")
    return 0


def _down(options: argparse.Namespace, layout: Layout) -> int:
    say = _clocked()
    with _only_one(layout):
        if not bringup.take_down(layout=layout, say=say):
            say("nothing is running")
        if options.wipe:
            bringup.forget(layout)
            say("state removed")
    return 0


def _status(_options: argparse.Namespace, layout: Layout) -> int:
    running = process.find_running(layout)
    if running is None:
        print("down")
        return _FAILED
    emulator = psutil.Process(running.pid)
    workers = emulator.children(recursive=True)
    print(f"up: {running.endpoint} (process {running.pid})")
    print(f"api: {environment.api_url(running.endpoint)}")
    print(f"memory: emulator {_megabytes([emulator])} MB, {len(workers)} function workers {_megabytes(workers)} MB")
    return 0


def _megabytes(processes: Sequence[psutil.Process]) -> int:
    return int(sum(one.memory_info().rss for one in processes) / _MEGABYTE)


def _clocked() -> Callable[[str], None]:
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    return say


@contextmanager
def _only_one(layout: Layout) -> Iterator[None]:
    """Hold the stack's lock while a command works on it."""
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(layout.lock_file, wait=False))
        except BlockingIOError:
            raise BusyError("another `up` or `down` of this stack is at work") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
