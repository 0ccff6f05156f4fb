"""Environments for the agent's tests: nothing is built."""

import threading
from pathlib import Path

from node_agent.environments.environments import EnvironmentFailedError


class MemoryEnvironments:
    """Gives ``root`` to every package, or fails each with ``failure``."""

    def __init__(self, root: Path, *, failure: str | None = None) -> None:
        self.root = root
        self.failure = failure
        self.asked: list[tuple[Path, str | None]] = []

    def for_package(self, package: Path, *, requirements: str | None, stop: threading.Event) -> Path:
        del stop  # nothing here takes long enough to be stopped
        self.asked.append((package, requirements))
        if self.failure is not None:
            raise EnvironmentFailedError(self.failure)
        return self.root
