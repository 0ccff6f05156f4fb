"""The real agent in a thread of the test, with the sandbox and the environments scripted."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gpupool.wire.capabilities import Gpu
from gpupool.wire.units import Download
from node_agent.agent import Agent, Parts
from node_agent.bootstrap import build_parts
from node_agent.environments.memory import MemoryEnvironments
from node_agent.errors import RefusedError
from node_agent.exit_codes import ExitCode
from node_agent.sandbox import Limits, OnOutput, UnitFiles, UnitSpec
from node_agent.sandbox.memory import MemoryRunningUnit, MemorySandbox, Script
from node_agent.settings import Settings
from node_agent.state import Identity, StateDir
from tests.agent.fake_control_plane import DEVICE_KEY, FakeControlPlane

WAIT_SECONDS = 15.0


def eventually(condition: Callable[[], Any], *, within: float = WAIT_SECONDS, what: str = "condition") -> Any:
    """The first true value of ``condition``; fails the test when none comes in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        threading.Event().wait(0.01)
    raise AssertionError(f"{what} did not come true within {within} s")


def identity_for(control_plane: FakeControlPlane, *, device_key: str = DEVICE_KEY) -> Identity:
    return Identity(node_id="node-1", device_key=device_key, api=control_plane.url, tier="community", name="test")


class TalkingSandbox(MemorySandbox):
    """Its units print what a test makes them ``say``."""

    def __init__(self, scripts: Iterable[Script] = ()) -> None:
        super().__init__(scripts)
        self._ears: list[OnOutput] = []

    def start(self, spec: UnitSpec, files: UnitFiles, *, limits: Limits, on_output: OnOutput) -> MemoryRunningUnit:
        self._ears.append(on_output)
        return super().start(spec, files, limits=limits, on_output=on_output)

    def say(self, output: bytes) -> None:
        """As the newest unit."""
        self._ears[-1](output)


class AsGranted:
    """URLs that never expire."""

    def url_for(self, download: Download, *, refused: bool = False) -> str:
        if refused:
            raise RefusedError("there is no other URL")
        return download.url


class AgentInThread:
    """``start`` builds and runs it; ``scripts`` say how its units go, one each."""

    def __init__(self, control_plane: FakeControlPlane, folder: Path) -> None:
        self.control_plane = control_plane
        self.folder = folder
        self.settings: dict[str, Any] = {"poll_seconds": 1}
        self.sandbox = TalkingSandbox()
        self.change_parts: Callable[[Parts], Parts] = lambda parts: parts
        self.environments = MemoryEnvironments(folder / "environment")
        self.gpus: list[Gpu] = []
        self.device_key = DEVICE_KEY
        self.exit_code: ExitCode | None = None
        self._agent: Agent | None = None
        self._thread: threading.Thread | None = None

    @property
    def work_root(self) -> Path:
        return self.folder / "state" / "work"

    def start(self, *scripts: Script, idle_exit_seconds: float | None = None) -> None:
        if scripts:
            self.sandbox = TalkingSandbox(scripts)
        state = StateDir(self.folder / "state")
        state.create()
        parts = build_parts(
            Settings(state_dir=state.path, **self.settings),
            identity=identity_for(self.control_plane, device_key=self.device_key),
            sandbox=self.sandbox,
            environments=self.environments,
            gpus=self.gpus,
        )
        agent = Agent(self.change_parts(parts), idle_exit_seconds=idle_exit_seconds)

        def run() -> None:
            self.exit_code = agent.run()

        self._agent = agent
        self._thread = threading.Thread(target=run, name="agent", daemon=True)
        self._thread.start()

    def signal(self) -> None:
        assert self._agent is not None
        self._agent.interrupt()

    def wait(self, *, within: float = WAIT_SECONDS) -> ExitCode:
        assert self._thread is not None
        self._thread.join(within)
        assert not self._thread.is_alive(), "the agent did not end"
        assert self.exit_code is not None
        return self.exit_code

    def stop(self) -> None:
        """End it whatever it is doing."""
        if self._agent is not None and self._thread is not None and self._thread.is_alive():
            for _ in range(3):
                self._agent.interrupt()
            self._thread.join(WAIT_SECONDS)
