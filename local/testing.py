"""Private local stacks for tests: own emulator, own port, own state; gone when the test process is.

A suite's `conftest.py` takes the session fixture by importing it: `from local.testing import local_stack`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import bringup, process, toolchain
from local.bringup import LocalStack, Wishes
from local.deploy import Account
from local.layout import Layout
from local.process import RootKeys, Running


def _quiet(_text: str) -> None:
    """Tests have no use for progress."""


@dataclass
class PrivateEmulator:
    """An emulator without a stack, whose process a test may stop, kill and start again over the same state."""

    layout: Layout
    keys: RootKeys
    python: Path
    running: Running

    @property
    def root(self) -> Account:
        return Account.root(endpoint=self.running.endpoint, keys=self.keys)

    def restart(self, *, kill: bool = False) -> None:
        """Stop the process, with its state saved unless it is killed, and start it on the same port."""
        if kill:
            process.kill(self.running, layout=self.layout)
        else:
            process.stop(self.running, layout=self.layout)
        self.running = process.start(
            layout=self.layout, python=self.python, port=self.running.port, keys=self.keys, with_parent=True
        )


@contextmanager
def private_emulator(home: Path) -> Iterator[PrivateEmulator]:
    """An empty emulator on a free port with its state under `home`."""
    layout = Layout(home=home)
    keys = RootKeys.make()
    python = toolchain.ensure_tools(progress=_quiet)
    running = process.start(layout=layout, python=python, port=process.free_port(), keys=keys, with_parent=True)
    emulator = PrivateEmulator(layout=layout, keys=keys, python=python, running=running)
    try:
        yield emulator
    finally:
        process.stop(emulator.running, layout=layout)


@contextmanager
def private_stack(home: Path, *, customer: bool = True, warm: bool = True) -> Iterator[LocalStack]:
    """The real template on a private emulator. `variables` of the result is what `make up` writes to `stack.env`."""
    layout = Layout(home=home)
    wishes = Wishes(port=process.free_port(), customer=customer, warm=warm, with_parent=True)
    try:
        yield bringup.bring_up(layout=layout, wishes=wishes, say=_quiet)
    finally:
        bringup.take_down(layout=layout, say=_quiet)


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """One deployed stack for the whole session, with the demo customer and warm functions."""
    with private_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack
