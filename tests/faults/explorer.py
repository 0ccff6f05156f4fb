"""Finds the points of a run, and in copies of the run tries every fault at every one of them."""

import asyncio
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tests.cloud.calls import Call, Fate, Invocation, Watcher
from tests.cloud.cloud import Cloud
from tests.cloud.functions import Invoke, Result
from tests.cloud.sources import Delivery, QueueSource, StreamSource
from tests.cloud.states import Execution
from tests.faults.forks import Forks, ending
from tests.faults.points import OF_EVERY_CALL, Fault, Outcome, Point, Survey, Trial, same_as

_FATES = {
    Fault.CRASH_BEFORE: Fate.CRASH_BEFORE,
    Fault.CRASH_AFTER: Fate.CRASH_AFTER,
    Fault.THROTTLE: Fate.THROTTLED,
    Fault.TIMEOUT: Fate.TIMED_OUT,
}
# How long a delivery is held, in seconds: longer than a lease of the laptop's deployment.
_HELD_SECONDS = 20
_LONGEST_TRIAL_SECONDS = 60
# Of what is found in the aftermath of a fault, only a second fault is tried, no third one.
_DEEPEST = 1


class Explorer(Watcher):
    """One run of a scenario. ``trying``: faults are tried on the way; else points are only found.

    In the original run nothing ever goes wrong. ``trial`` is set in a copy, in which something does.
    """

    def __init__(self, scenario: str, survey: Survey, forks: Forks, *, trying: bool) -> None:
        self.scenario = scenario
        self.trial: Trial | None = None
        # What lets the lease of a node's request lapse and another node take its unit; a scenario sets it.
        self.lapse: Callable[[], None] | None = None
        self._survey = survey
        self._forks = forks
        self._trying = trying
        self._depth = 0
        self._beside = False
        self._late: list[Invocation] = []
        self._held: Any = None
        self._held_until = 0.0
        self._spoils: Invocation | None = None
        self._last: dict[Any, dict[str, Any]] = {}

    def watch(self, cloud: Cloud) -> None:
        self.cloud = cloud
        cloud.wire.watchers.append(self)
        cloud.functions.around = self._around
        cloud.holds = self._holds

    @property
    def holds_something(self) -> bool:
        return self._held is not None and self.cloud.clock.now().timestamp() < self._held_until

    def deliver_late(self) -> bool:
        """What was doubled comes once more, long after; whether there was anything."""
        late, self._late = self._late, []
        for invocation in late:
            self.cloud.functions.run(_again(invocation))
        return bool(late)

    # Faults of a call.

    def before(self, call: Call) -> Fate | None:
        if call.invocation is self._spoils and call.number == 1:
            return Fate.THROTTLED
        if self._beside:
            return None
        point = Point.of(call)
        self._note(point)
        for fault in OF_EVERY_CALL:
            if self._begin(point, fault):
                return self._befall(call, fault)
        if self._is_leased(call) and self._begin(point, Fault.STALE_LEASE):
            return self._befall(call, Fault.STALE_LEASE)
        return None

    def _befall(self, call: Call, fault: Fault) -> Fate | None:
        if fault is Fault.CONCURRENT:
            with self._another_process():
                self.cloud.functions.run(_again(call.invocation), copy=self._depth)
        elif fault is Fault.STALE_LEASE and self.lapse is not None:
            with self._another_process():
                self.lapse()
        return _FATES.get(fault)

    def _is_leased(self, call: Call) -> bool:
        return (
            self.lapse is not None
            and call.invocation.room == "node_api"
            and '"lease"' in str(call.invocation.event.get("body"))
        )

    # Faults of a delivery.

    def _around(self, invocation: Invocation, run: Invoke) -> Result:
        if self._beside:
            return run(invocation)
        point = Point(invocation.room, invocation.trigger)
        self._note(point)
        if self._begin(point, Fault.DUPLICATE):
            run(invocation)
            self._late.append(invocation)
            return run(_again(invocation))
        if _is_batch(invocation):
            return self._batch(point, invocation, run)
        if not self._can_wait(invocation) and self._begin(point, Fault.REORDERED):
            self._late.append(invocation)
        return run(invocation)

    def _batch(self, point: Point, invocation: Invocation, run: Invoke) -> Result:
        """Where a batch has one record, the one before it comes along again, so that one can fail and another go through."""
        records = invocation.event["Records"]
        source = records[0].get("eventSourceARN")
        earlier, self._last[source] = self._last.get(source), records[-1]
        enough = len(records) > 1 or earlier is not None
        if not enough or not self._begin(point, Fault.PARTIAL_BATCH):
            return run(invocation)
        if len(records) > 1:
            self._spoils = invocation
            return run(invocation)
        self._spoils = Invocation(invocation.room, {"Records": [earlier, *records]}, invocation.trigger)
        return _in_place_of(records[0], run(self._spoils))

    def _holds(self, moving: Delivery | Execution) -> bool:
        """Asked of what is about to move; what is held is overtaken by all that moves meanwhile."""
        if self._held is not None and _identity(moving) == self._held:
            return self.holds_something
        if self._beside or self._held is not None:
            return False
        room, trigger = self._destination(moving)
        if not room or not self._begin(Point(room, trigger), Fault.REORDERED):
            return False
        self._held, self._held_until = _identity(moving), self.cloud.clock.now().timestamp() + _HELD_SECONDS
        return True

    def _destination(self, moving: Delivery | Execution) -> tuple[str, str]:
        if isinstance(moving, Delivery):
            return moving.room, moving.trigger
        return "state machine", moving.state

    def _can_wait(self, invocation: Invocation) -> bool:
        """Whether something can hold it back; a request's sender waits for it, so that only a copy can be late."""
        return not invocation.trigger.startswith(("POST ", "GET ", "PATCH ", "DELETE ", "PUT ", "schedule", "rule"))

    # Trials.

    def _note(self, point: Point) -> None:
        if not self._trying:
            self._survey.undisturbed.add(point)
        self._survey.find(point)

    def _begin(self, point: Point, fault: Fault) -> bool:
        """True in a fresh copy of this run, in which the fault is to happen."""
        if not self._trying or self._depth >= _DEEPEST:
            return False
        if self.trial is not None and point in self._survey.undisturbed:
            return False  # the original run comes to it by itself
        if same_as(point, fault) != (point, fault):
            return False
        trial = Trial(point, fault, self.scenario, behind=str(self.trial) if self.trial else "")
        if not self._survey.claim(trial) or not self._forks.split():
            if self._depth:
                self._forks.join()
            return False
        self.trial, self._depth = trial, self._depth + 1
        # Of processor time: a busy machine is no reason to give up.
        signal.setitimer(signal.ITIMER_PROF, _LONGEST_TRIAL_SECONDS)
        return True

    @contextmanager
    def _another_process(self) -> Iterator[None]:
        """Something else happens in the middle of a call. The loop of a web framework that runs here is not its loop."""
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        self._beside = True
        try:
            yield
        finally:
            self._beside = False
            asyncio._set_running_loop(running)
            if running is not None:
                asyncio.set_event_loop(running)


def explore(run: Callable[[], list[str]], explorer: Explorer, survey: Survey, forks: Forks) -> list[str]:
    """Runs a scenario; ``run`` answers what is wrong at its end. In a copy, that is written down and the copy ends."""
    signal.signal(signal.SIGPROF, _too_long)
    try:
        violations = run()
    except BaseException as error:
        if explorer.trial is None:
            forks.join()
            raise
        violations = ["".join(traceback.format_exception(error))[-3_000:]]
    if explorer.trial is not None:
        trial = explorer.trial
        ending(lambda: (forks.join(), survey.finish(Outcome(trial, violations, time.process_time())))[-1])
    forks.join()
    return violations


def _too_long(*_: Any) -> None:
    raise TimeoutError("the trial never comes to an end")


def _again(invocation: Invocation) -> Invocation:
    return Invocation(invocation.room, deepcopy(invocation.event), invocation.trigger)


def _is_batch(invocation: Invocation) -> bool:
    return isinstance(invocation.event, dict) and bool(invocation.event.get("Records"))


def _in_place_of(record: dict[str, Any], result: Result) -> Result:
    """The answer to a batch with one record more, for whoever knows of ``record`` alone."""
    if result.failed or not (result.value or {}).get("batchItemFailures"):
        return result
    name = record["dynamodb"]["SequenceNumber"] if "dynamodb" in record else record["messageId"]
    return replace(result, value={"batchItemFailures": [{"itemIdentifier": name}]})


def _identity(moving: Delivery | Execution) -> Any:
    if isinstance(moving, Delivery):
        source: StreamSource | QueueSource = moving.source  # type: ignore[assignment]
        return (id(source), moving.lane)
    return id(moving)
