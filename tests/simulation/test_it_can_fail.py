"""Conditions of the core, taken out one by one: the simulation has to notice each within a few seeds, and say how to see it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bench.simulate.run import play, report
from bench.simulate.simulation import Result
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.jobs.memory import MemoryJobStore
from gpupool.jobs.model import Job, JobStatus
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.planning import pricing
from gpupool.transitions.memory import MemoryTransitions
from gpupool.units import claims, decide, heartbeats
from gpupool.units.bells import Bells
from gpupool.units.cadence import Cadence
from gpupool.units.claims import Claims
from gpupool.units.decide import Refusal, Standing
from gpupool.units.inputs import Inputs
from gpupool.units.memory import MemoryUnitStore
from gpupool.units.model import Unit
from gpupool.units.signing import Signing
from gpupool.webhooks.fan_out import FanOut
from gpupool.wire.units import Progress
from gpupool.wire.vocabulary import CapabilityClass
from gpupool.workflow import closing, rounds, tending
from gpupool.workflow.model import Step
from gpupool.workflow.outbox import Outbox
from gpupool.workflow.rounds import Round
from gpupool.workflow.settle import Opened, Settlement
from gpupool.workflow.tending import Tending

SEEDS = 60
Break = Callable[[pytest.MonkeyPatch], None]


def debits_are_not_remembered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryLedgerStore, "is_posted", lambda self, transfer: False)


def a_lease_keeps_nobody_out(patch: pytest.MonkeyPatch) -> None:
    ask = decide.refuse_claim

    def refuse(*args: Any, **named: Any) -> Refusal | None:
        refusal = ask(*args, **named)
        return None if refusal is Refusal.LEASED else refusal

    patch.setattr(claims.decide, "refuse_claim", refuse)


def any_token_may_report(patch: pytest.MonkeyPatch) -> None:
    def standing(unit: Unit | None, lease: Any) -> Standing:
        return Standing.HOLDS if unit is not None and unit.lease is not None else Standing.LOST

    patch.setattr(decide, "standing", standing)


def the_version_is_not_compared(patch: pytest.MonkeyPatch) -> None:
    def write_over(self: MemoryUnitStore, unit: Unit) -> Unit:
        return self.write(replace(unit, version=unit.version + 1))

    patch.setattr(MemoryUnitStore, "replace", write_over)


def the_rest_of_the_hold_is_kept(patch: pytest.MonkeyPatch) -> None:
    close = MemoryTransitions.close
    patch.setattr(MemoryTransitions, "close", lambda self, job, ending: close(self, job, replace(ending, release=None)))


def keys_are_not_remembered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryIdempotencyStore, "get", lambda self, record_id: None)


def needs_are_never_opened(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryUnitStore, "open_edge", lambda self, unit_id, **_: self.get(unit_id))


def completed_units_are_free(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Settlement, "settle", lambda self, unit: None)


def an_ended_job_is_planned_again(patch: pytest.MonkeyPatch) -> None:
    def begin_planning(self: MemoryJobStore, job_id: str) -> Job | None:
        job = self.get(job_id)
        return self.write(replace(job, status=JobStatus.PLANNING)) if job else None

    patch.setattr(MemoryJobStore, "begin_planning", begin_planning)


def webhooks_are_not_enqueued(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FanOut, "enqueue", lambda self, endpoint, event: None)


def a_wide_job_is_released_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tending, "has_room", lambda *_args, **_named: True)


def an_attempt_remembers_the_one_before(patch: pytest.MonkeyPatch) -> None:
    claimed = decide.claimed

    def remember(unit: Unit, *args: Any, **named: Any) -> Unit:
        return replace(claimed(unit, *args, **named), metrics=unit.metrics)

    patch.setattr(decide, "claimed", remember)


def machines_are_left_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Cadence, "next_beat", lambda self, age_seconds: self.most_seconds + 1 + age_seconds)


def what_broke_is_found_at_the_next_round(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("gpupool.workflow.outbox.BROKEN", frozenset())


def answered_bells_ring_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Bells, "silence", lambda self, doorway: None)


def reports_are_not_recognised(patch: pytest.MonkeyPatch) -> None:
    standing = decide.standing

    def forget(*args: Any) -> Standing:
        found = standing(*args)
        return Standing.LOST if found is Standing.REPEATED else found

    patch.setattr(decide, "standing", forget)


def who_failed_a_unit_may_have_it_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "_is_paused", lambda *_args, **_named: False)


def who_has_failed_once_is_sent_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "_PAUSE", timedelta(hours=1))


def a_node_may_say_that_it_was_claimed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(heartbeats, "said_by_node", lambda progress: progress)


def further_pages_are_not_mentioned(patch: pytest.MonkeyPatch) -> None:
    page = Inputs.page
    patch.setattr(
        Inputs, "page", lambda self, *args, **named: page(self, *args, **named).model_copy(update={"more_needs": None})
    )


def pages_are_given_to_who_reads_none(patch: pytest.MonkeyPatch) -> None:
    claim = Claims.claim
    patch.setattr(Claims, "claim", lambda self, *args, **_: claim(self, *args))


def logs_have_no_place(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Signing, "log_chunk", lambda *_: None)


def tokens_are_parked_twice(patch: pytest.MonkeyPatch) -> None:
    park = MemoryJobStore.park

    def twice(self: MemoryJobStore, *args: Any, **named: Any) -> Job | None:
        park(self, *args, **named)
        return park(self, *args, **named)

    patch.setattr(MemoryJobStore, "park", twice)


def bells_are_rung_twice(patch: pytest.MonkeyPatch) -> None:
    ring = Outbox._ring

    def twice(self: Outbox, unit: Unit) -> None:
        ring(self, unit)
        ring(self, unit)

    patch.setattr(Outbox, "_ring", twice)


def a_failed_attempt_fails_the_job(patch: pytest.MonkeyPatch) -> None:
    def every_failure(self: Outbox, before: Unit | None, after: Unit) -> None:
        move(self, before, after)
        if after.failure is not None:
            self._jobs.note_failure(after.job_id, after.failure)

    move = Outbox._move_unit
    patch.setattr(Outbox, "_move_unit", every_failure)


def a_minute_costs_more_than_was_said(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(pricing.CREDITS_PER_MINUTE, CapabilityClass.CPU, 2)


def everybody_pays_one_minute(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "observed_runtime", lambda *_args, **_named: 0.0)


def nobody_waits_for_a_day(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "PATIENCE", timedelta(hours=20))


def steps_never_stop(patch: pytest.MonkeyPatch) -> None:
    def walk_on(*args: Any) -> tuple[Round, bool]:
        walked, more = walk(*args)
        while more:
            walked, more = walk(*args[:2], walked, *args[3:])
        return walked, more

    walk = rounds.walk
    patch.setattr(tending, "walk", walk_on)
    patch.setattr(closing, "walk", walk_on)


def an_execution_goes_on_for_ever(patch: pytest.MonkeyPatch) -> None:
    def go_on(self: Tending, job: Job, step: Step) -> Step:
        return tend(self, job, replace(step, steps=0))

    tend = Tending.go_on
    patch.setattr(Tending, "go_on", go_on)


def what_is_held_back_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    note = MemoryJobStore.note_window
    patch.setattr(MemoryJobStore, "note_window", lambda self, job_id, window: note(self, job_id, replace(window, high=None)))


def attempts_share_a_place(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("gpupool.units.signing.output_key", lambda unit, name: f"jobs/{unit.job_id}/{unit.id}/{name}")


def progress_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    renew = MemoryUnitStore.renew
    patch.setattr(
        MemoryUnitStore, "renew", lambda self, *args, progress, **named: renew(self, *args, progress=Progress(), **named)
    )


def every_unit_is_settled_twice(patch: pytest.MonkeyPatch) -> None:
    conclude = Settlement.conclude

    def twice(self: Settlement, unit: Unit) -> Opened:
        self.settle(unit)
        return conclude(self, unit)

    patch.setattr(Settlement, "conclude", twice)


def every_unit_fans_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("gpupool.workflow.settle.fans_out", lambda _: True)


def who_opens_any_unit_wakes_nobody(patch: pytest.MonkeyPatch) -> None:
    """Also when the units that it opens are of another class, and take no room of its own."""
    original = Settlement.conclude

    def conclude(self: Settlement, unit: Unit) -> Opened:
        opened = original(self, unit)
        return Opened.SOME if opened is Opened.NONE and unit.dependents else opened

    patch.setattr(Settlement, "conclude", conclude)


def an_unheard_bell_is_as_good(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Claims, "_prove", lambda *_args, **_named: None)


def every_end_wakes_the_execution(patch: pytest.MonkeyPatch) -> None:
    def conclude(self: Outbox, unit: Unit) -> None:
        self._settlement.conclude(unit)
        self._wake(unit.job_id)

    patch.setattr(Outbox, "_conclude", conclude)


def no_round_goes_over_everything_again(patch: pytest.MonkeyPatch) -> None:
    after = tending.window_after
    patch.setattr(tending, "window_after", lambda *args, now, **named: replace(after(*args, now=now, **named), whole_at=now))


BREAKS: dict[Break, str] = {
    debits_are_not_remembered: "a transfer is posted once|functions fail only where a fault was injected",
    a_lease_keeps_nobody_out: "one valid lease per unit",
    any_token_may_report: "a false report is not accepted|one valid lease per unit|may be repeated",
    the_version_is_not_compared: "no write is lost",
    the_rest_of_the_hold_is_kept: "gave the rest of its hold back|held",
    keys_are_not_remembered: "one key makes one job|is told every event once",
    needs_are_never_opened: "no job waits for ever",
    completed_units_are_free: "no job waits for ever|one debit per completed unit|a release empties the hold",
    an_ended_job_is_planned_again: "a job ends once|fails for a unit's reason, or for ours",
    webhooks_are_not_enqueued: "is told every event once|recovery has looked at every job",
    a_wide_job_is_released_at_once: "no more than a windowful",
    an_attempt_remembers_the_one_before: "an attempt begins with nothing told",
    machines_are_left_alone: "silent for longer",
    what_broke_is_found_at_the_next_round: "a job ends with its last unit|a unit that made room wakes",
    answered_bells_ring_on: "a bell is heard until somebody answers it|bell is gone|nobody hears again",
    reports_are_not_recognised: "a report that was heard may be repeated",
    who_failed_a_unit_may_have_it_at_once: "whoever failed a unit lets others have it first",
    who_has_failed_once_is_sent_away: "a machine that can do the work may have it",
    a_node_may_say_that_it_was_claimed: "only a claim says",
    further_pages_are_not_mentioned: "is handed what it needs",
    pages_are_given_to_who_reads_none: "who reads no further pages gets no such unit",
    logs_have_no_place: "a piece of log has its place",
    tokens_are_parked_twice: "no write of a job is in vain",
    a_minute_costs_more_than_was_said: "was quoted|may cost its whole time",
    everybody_pays_one_minute: "a unit ran for as long as its machine says",
    nobody_waits_for_a_day: "a unit waits for a day",
    steps_never_stop: "a step writes no more than it has time for",
    an_execution_goes_on_for_ever: "hands over before its history is full",
    what_is_held_back_is_not_noted: "could be released and is not is held back|remembers single units|finds nothing",
    attempts_share_a_place: "uploads to its own place",
    progress_is_not_kept: "says what its machine told",
    every_unit_is_settled_twice: "a debit is posted once",
    every_unit_fans_out: "only a fan-out is left to a round|a unit wakes its execution once|a unit that made room wakes",
    who_opens_any_unit_wakes_nobody: "a unit that made room wakes its execution",
    an_unheard_bell_is_as_good: "whose bell it has not heard|a bell is silent while its unit is leased",
    every_end_wakes_the_execution: "a unit wakes its execution once it ended and opened none",
    no_round_goes_over_everything_again: "a round over everything is rare",
    bells_are_rung_twice: "a bell is rung once|a bell is heard until somebody answers it",
    a_failed_attempt_fails_the_job: "fails for a unit's reason, or for ours|failed for the reason of the unit",
}


def first_broken() -> Result | None:
    for seed in range(SEEDS):
        broken = play([seed], bar=False).broken
        if broken:
            return broken[0]
    return None


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__)
def test_a_broken_promise_is_found(broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)

    found = first_broken()

    assert found is not None
    assert found.failure is not None
    assert any(part in found.failure.promise for part in BREAKS[broken].split("|")), found.failure
    said = report(found, units=100)
    assert f"python -m bench.simulate --seed {found.seed} --trace" in said
    assert found.failure.trace[-1] in said
