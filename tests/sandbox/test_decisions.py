"""The pure deciders: which bound was broken, and what an ending means."""

from dataclasses import replace

import pytest

from gpupool.wire.failures import FailureCode
from node_agent.sandbox import OutcomeStatus, Usage
from node_agent.sandbox.collect import Result
from node_agent.sandbox.outcome import Ending, outcome_of
from node_agent.sandbox.watch import Situation, StopReason, reason_to_stop
from tests.sandbox.lab import ROOMY

_CALM = Situation(elapsed=1, cancelled=False, log_bytes=0, usage=Usage(memory_mb=1, disk_mb=1, processes=3))
_ENDED = Ending(runs_script=True, stopped=None, greeted=True, exit_code=0, result=None)


def test_a_calm_unit_goes_on() -> None:
    assert reason_to_stop(_CALM, ROOMY) is None


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (replace(_CALM, cancelled=True, elapsed=1e9), StopReason.CANCELLED),
        (replace(_CALM, elapsed=ROOMY.wall_seconds + 1), StopReason.TIME),
        (replace(_CALM, log_bytes=ROOMY.log_bytes + 1), StopReason.LOG),
        (replace(_CALM, usage=Usage(memory_mb=ROOMY.memory_mb + 1)), StopReason.MEMORY),
        (replace(_CALM, usage=Usage(disk_mb=ROOMY.disk_mb + 1)), StopReason.DISK),
        (replace(_CALM, usage=Usage(processes=ROOMY.processes)), StopReason.PROCESSES),
        (replace(_CALM, breaches=frozenset({StopReason.MEMORY})), StopReason.MEMORY),
    ],
)
def test_each_broken_bound_has_its_reason(situation: Situation, reason: StopReason) -> None:
    assert reason_to_stop(situation, ROOMY) is reason


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (replace(_ENDED, stopped=StopReason.TIME, result=Result(code=None)), FailureCode.TIMED_OUT),
        (replace(_ENDED, greeted=False, exit_code=1), FailureCode.SANDBOX_FAILED),
        (replace(_ENDED, greeted=False, result=Result(code=None)), FailureCode.SANDBOX_FAILED),
        (replace(_ENDED, oversized=True), FailureCode.OUTPUT_TOO_LARGE),
        (replace(_ENDED, result=Result(code=FailureCode.NO_MODEL)), FailureCode.NO_MODEL),
        (replace(_ENDED, exit_code=137), FailureCode.OUT_OF_MEMORY),
        (replace(_ENDED, exit_code=1), FailureCode.SCRIPT_FAILED),
        (replace(_ENDED, exit_code=1, runs_script=False), FailureCode.INTERNAL),
        (
            replace(_ENDED, kernel_killed_for_memory=True, result=Result(code=FailureCode.SCRIPT_FAILED)),
            FailureCode.OUT_OF_MEMORY,
        ),
        (
            replace(_ENDED, kernel_refused_processes=True, result=Result(code=FailureCode.SCRIPT_FAILED)),
            FailureCode.PROCESS_LIMIT_EXCEEDED,
        ),
    ],
)
def test_each_ending_has_its_cause(ending: Ending, code: FailureCode) -> None:
    outcome = outcome_of(ending, ROOMY)
    assert (outcome.status, outcome.code, outcome.artifacts) == (OutcomeStatus.FAILED, code, ())


def test_a_cancelled_unit_has_no_cause_whatever_it_says() -> None:
    outcome = outcome_of(replace(_ENDED, stopped=StopReason.CANCELLED, result=Result(code=None)), ROOMY)
    assert (outcome.status, outcome.code) == (OutcomeStatus.CANCELLED, None)


def test_a_worker_killed_for_memory_does_not_undo_a_success() -> None:
    ending = replace(_ENDED, kernel_killed_for_memory=True, result=Result(code=None, metrics={"loss": 1.0}))
    outcome = outcome_of(ending, ROOMY)
    assert (outcome.status, outcome.metrics) == (OutcomeStatus.SUCCEEDED, {"loss": 1.0})
