"""Environments on disk: one folder per set of requirements, built once, evicted by size when long unused.

root/<fingerprint>/            finished, read-only for units     root/<fingerprint>.lock   who builds or uses it
root/.building-<fingerprint>/  not finished; a crash leaves it and the next builder or eviction removes it
"""

import contextlib
import os
import platform
import shutil
import threading
import time
from pathlib import Path

from node_agent.environments.builder import Build, build
from node_agent.environments.environments import EnvironmentAbandonedError
from node_agent.environments.requirements import fingerprint, read_requirements
from node_agent.sandbox import disk, host
from node_agent.sandbox.environment_lock import alone, if_unused

_BUILDING = ".building-"
# Between handing out an environment and the unit's own hold on it lies little more than the start of a sandbox.
_FRESH_SECONDS = 600.0


class EnvironmentStore:
    """``hidden``: folders of the agent that a build must not see. ``max_bytes`` bounds all environments together."""

    def __init__(self, root: Path, *, hidden: tuple[Path, ...], max_bytes: int, max_environment_bytes: int) -> None:
        self._root = root
        self._hidden = hidden
        self._max_bytes = max_bytes
        self._max_environment_bytes = max_environment_bytes

    def for_package(self, package: Path, *, requirements: str | None, stop: threading.Event) -> Path:
        wishes = read_requirements(package, requirements) if requirements is not None else ()
        return self.obtain(wishes, stop=stop)

    def obtain(self, requirements: tuple[str, ...], *, stop: threading.Event) -> Path:
        """The environment for normalised ``requirements``; built when it is not there yet."""
        self._root.mkdir(parents=True, exist_ok=True)
        here = host.look()
        folder = self._root / fingerprint(requirements, python=f"{platform.python_version()} {here.python}")
        if not folder.is_dir():
            self._build_once(folder, requirements, here=here, stop=stop)
        os.utime(folder)
        return folder

    def _build_once(self, folder: Path, requirements: tuple[str, ...], *, here: host.Host, stop: threading.Event) -> None:
        with alone(folder, stop) as is_ours:
            if not is_ours:
                raise EnvironmentAbandonedError
            if folder.is_dir():  # another builder was faster
                return
            building = self._root / f"{_BUILDING}{folder.name}"
            shutil.rmtree(building, ignore_errors=True)
            try:
                self.evict()
                job = Build(building, requirements, self._hidden, self._max_environment_bytes)
                build(job, host=here, stop=stop)
                building.rename(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)

    def evict(self) -> None:
        """Removes the environments unused for longest until the rest fits; never one in use or just handed out."""
        sizes: dict[Path, int] = {}
        used_at: dict[Path, float] = {}
        for path in self._root.iterdir():
            # A neighbour that finishes or evicts takes folders away while they are looked at.
            with contextlib.suppress(FileNotFoundError):
                if path.is_dir():
                    used_at[path], sizes[path] = path.stat().st_mtime, self._size_of(path)
        total = sum(sizes.values())
        for path in sorted(sizes, key=used_at.__getitem__):
            if total > self._max_bytes and self._remove_unused(path):
                total -= sizes[path]

    def _size_of(self, path: Path) -> int:
        try:
            return disk.bytes_below(path)
        except disk.UnmeasurableError:  # what a crash left, as a rule; it must not keep others from being built
            return self._max_environment_bytes

    def _remove_unused(self, path: Path) -> bool:
        """Whether its room is free now, whoever removed it."""
        environment = path.with_name(path.name.removeprefix(_BUILDING))
        with if_unused(environment) as is_unused:
            if not path.is_dir():
                return not environment.is_dir()
            if not is_unused or time.time() - path.stat().st_mtime < _FRESH_SECONDS:
                return False
            # A unit that starts now finds no folder rather than half of one.
            doomed = path.with_name(f"{_BUILDING}{environment.name}")
            if path == environment:
                shutil.rmtree(doomed, ignore_errors=True)
                path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
            return True
