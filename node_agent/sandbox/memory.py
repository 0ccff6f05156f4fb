"""A scripted sandbox for the agent's tests: units end as told, nothing runs."""

import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import ArtifactKind
from node_agent.sandbox.sandbox import (
    Limits,
    OnOutput,
    OutcomeStatus,
    OutputFile,
    UnitFiles,
    UnitOutcome,
    UnitSpec,
    Usage,
)


@dataclass(frozen=True, kw_only=True)
class Script:
    """What one scripted unit does: logs ``output``, then ends. ``hangs``: only ``cancel`` or ``finish`` ends it."""

    output: bytes = b"hello\n"
    artifacts: tuple[tuple[str, ArtifactKind, bytes], ...] = (("model.tar.gz", ArtifactKind.MODEL, b"model"),)
    metrics: dict[str, float] = field(default_factory=dict)
    failure: FailureCode | None = None
    message: str = ""
    exit_code: int | None = 0
    runtime_seconds: float = 1.5
    peak_memory_mb: int = 64
    hangs: bool = False


class MemoryRunningUnit:
    """A unit in flight that does nothing until it is finished or cancelled."""

    def __init__(self, spec: UnitSpec, files: UnitFiles, *, script: Script) -> None:
        self.spec = spec
        self.files = files
        self.cancelled = False
        self._script = script
        self._outcome: UnitOutcome | None = None
        self._over = threading.Event()

    def wait(self, timeout: float | None = None) -> UnitOutcome | None:
        self._over.wait(timeout)
        return self._outcome

    def cancel(self) -> None:
        self.cancelled = True
        self._end(UnitOutcome(status=OutcomeStatus.CANCELLED, message="cancelled", runtime_seconds=0.1))

    def usage(self) -> Usage:
        peak = self._script.peak_memory_mb
        return Usage(memory_mb=peak, peak_memory_mb=peak, disk_mb=1, processes=2)

    def finish(self) -> None:
        """Ends the unit as scripted, writing its artifacts below the attempt's folder."""
        script = self._script
        if script.failure is not None:
            self._end(
                UnitOutcome(
                    status=OutcomeStatus.FAILED,
                    code=script.failure,
                    message=script.message or script.failure.value,
                    exit_code=script.exit_code,
                    runtime_seconds=script.runtime_seconds,
                    peak_memory_mb=script.peak_memory_mb,
                )
            )
            return
        self._end(
            UnitOutcome(
                status=OutcomeStatus.SUCCEEDED,
                exit_code=0,
                artifacts=tuple(self._write(name, kind, content) for name, kind, content in script.artifacts),
                metrics=script.metrics,
                runtime_seconds=script.runtime_seconds,
                peak_memory_mb=script.peak_memory_mb,
            )
        )

    def _write(self, name: str, kind: ArtifactKind, content: bytes) -> OutputFile:
        path = self.files.root / "outbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return OutputFile(name=name, kind=kind, path=path)

    def _end(self, outcome: UnitOutcome) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._over.set()


class MemorySandbox:
    """Plays ``scripts`` in order, one per started unit, and the default script after the last."""

    def __init__(self, scripts: Iterable[Script] = (), *, problems: Iterable[str] = ()) -> None:
        self.problems = list(problems)
        self.started: list[MemoryRunningUnit] = []
        self.limits: list[Limits] = []
        self.destroyed: list[Path] = []
        self.on_start: Callable[[MemoryRunningUnit], None] | None = None
        self._scripts = deque(scripts)

    def check(self) -> list[str]:
        return list(self.problems)

    def start(self, spec: UnitSpec, files: UnitFiles, *, limits: Limits, on_output: OnOutput) -> MemoryRunningUnit:
        script = self._scripts.popleft() if self._scripts else Script()
        unit = MemoryRunningUnit(spec, files, script=script)
        self.started.append(unit)
        self.limits.append(limits)
        on_output(script.output)
        if not script.hangs:
            unit.finish()
        if self.on_start is not None:
            self.on_start(unit)
        return unit

    def destroy(self, root: Path) -> None:
        self.destroyed.append(root)
        shutil.rmtree(root, ignore_errors=True)
