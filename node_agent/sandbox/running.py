"""One unit in flight: started, watched and ended by a thread of its own."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpupool.wire.failures import FailureCode
from node_agent.sandbox.cgroup import ControlGroup
from node_agent.sandbox.collect import OversizedOutputError, collect
from node_agent.sandbox.environment_lock import in_use
from node_agent.sandbox.launch import Launched
from node_agent.sandbox.outcome import Ending, outcome_of
from node_agent.sandbox.pump import Pump
from node_agent.sandbox.sandbox import Limits, OnOutput, OutcomeStatus, UnitOutcome, Usage
from node_agent.sandbox.stage import Stage
from node_agent.sandbox.watch import GENTLE, Situation, StopReason, Watch, reason_to_stop

_SAMPLE_SECONDS = 0.2
_DISK_SECONDS = 1.0
_DEATH_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A laid out unit that only has to be launched. ``runs_script``: it is not one of the platform's own roles."""

    stage: Stage
    runs_script: bool
    group: ControlGroup | None
    launch: Callable[[], Launched]
    environment: Path | None = None


class BubblewrapUnit:
    """A running unit. ``prepare`` and everything after it happen on the supervising thread."""

    def __init__(self, prepare: Callable[[], Prepared], *, limits: Limits, on_output: OnOutput, grace_seconds: float) -> None:
        self._prepare = prepare
        self._limits = limits
        self._on_output = on_output
        self._grace = grace_seconds
        self._wake = threading.Event()
        self._cancelled = threading.Event()
        self._finished = threading.Event()
        self._outcome: UnitOutcome | None = None
        self._watch: Watch | None = None
        # The supervisor launches the sandbox itself: the sandbox dies with the thread that started it.
        self._supervisor = threading.Thread(target=self._run, daemon=True, name="unit-supervisor")
        self._supervisor.start()

    def wait(self, timeout: float | None = None) -> UnitOutcome | None:
        self._finished.wait(timeout)
        return self._outcome

    def cancel(self) -> None:
        self._cancelled.set()
        self._wake.set()

    def usage(self) -> Usage:
        return self._watch.usage if self._watch is not None else Usage()

    def _run(self) -> None:
        started = time.monotonic()
        try:
            self._outcome = self._supervise(started)
        except Exception as error:
            logger.exception("sandbox failed")
            self._outcome = UnitOutcome(
                status=OutcomeStatus.FAILED,
                code=FailureCode.SANDBOX_FAILED,
                message=f"The sandbox failed: {error}"[:500],
                runtime_seconds=time.monotonic() - started,
            )
        finally:
            self._finished.set()

    def _supervise(self, started: float) -> UnitOutcome:
        prepared = self._prepare()
        with in_use(prepared.environment):
            return self._run_prepared(prepared, started)

    def _run_prepared(self, prepared: Prepared, started: float) -> UnitOutcome:
        try:
            launched = prepared.launch()
            with launched.process, launched.control, launched.output:
                pump = Pump(launched.output, self._on_output, limit=self._limits.log_bytes, wake=self._wake.set)
                pump.start()
                self._watch = watch = Watch(launched.process.pid, prepared.stage, limits=self._limits, group=prepared.group)
                try:
                    stopped = self._guard(launched, pump, watch, started)
                finally:
                    launched.kill(seconds=_DEATH_SECONDS)
                    pump.over.wait(_DEATH_SECONDS)
            return self._conclude(prepared, pump, stopped, launched.process.returncode, started)
        finally:
            if prepared.group is not None:
                prepared.group.remove()

    def _guard(self, launched: Launched, pump: Pump, watch: Watch, started: float) -> StopReason | None:
        """Waits for the end of the unit or for a reason to end it, which it then carries out."""
        next_disk = started
        while not pump.over.is_set():
            self._wake.wait(_SAMPLE_SECONDS)
            self._wake.clear()
            watch.sample_processes()
            if (now := time.monotonic()) >= next_disk:
                watch.sample_disk()
                # A slow measurement must not become the unit's main activity.
                next_disk = time.monotonic() + max(_DISK_SECONDS, 10 * (time.monotonic() - now))
            reason = None if pump.over.is_set() else reason_to_stop(self._situation(pump, watch, started), self._limits)
            if reason is not None:
                if reason in GENTLE:
                    _ask_to_end(launched)
                    pump.over.wait(self._grace)
                return reason
        watch.sample_disk()
        return None

    def _situation(self, pump: Pump, watch: Watch, started: float) -> Situation:
        return Situation(
            elapsed=time.monotonic() - started,
            cancelled=self._cancelled.is_set(),
            log_bytes=pump.seen_bytes,
            usage=watch.usage,
            breaches=watch.breaches,
        )

    def _conclude(
        self, prepared: Prepared, pump: Pump, stopped: StopReason | None, exit_code: int, started: float
    ) -> UnitOutcome:
        result, oversized = None, False
        try:
            result = collect(prepared.stage.outbox, max_bytes=self._limits.output_bytes)
        except OversizedOutputError:
            oversized = True
        group = prepared.group
        reported = min(result.peak_memory_mb, self._limits.memory_mb) if result is not None else 0
        ending = Ending(
            runs_script=prepared.runs_script,
            stopped=stopped,
            greeted=pump.greeted,
            exit_code=128 - exit_code if exit_code < 0 else exit_code,
            result=result,
            oversized=oversized,
            kernel_killed_for_memory=group is not None and group.out_of_memory(),
            kernel_refused_processes=group is not None and group.refused_processes(),
            first_words=pump.first_words.decode("utf-8", "replace").strip(),
            runtime_seconds=time.monotonic() - started,
            peak_memory_mb=max(self.usage().peak_memory_mb, reported),
        )
        return outcome_of(ending, self._limits)


def _ask_to_end(launched: Launched) -> None:
    with contextlib.suppress(OSError):
        launched.control.write(b"x")
        launched.control.flush()
