"""Mutants that no test can tell from the program or that no promise is about, each by its place and with the reason; and what
is known of those that should be noticed and are not."""

from dataclasses import dataclass

from bench.mutants.sites import Mutant


@dataclass(frozen=True, slots=True)
class Note:
    """``change`` stands in ``^before  ->  after$`` of the mutants that it is about; empty: every one of that function."""

    path: str
    function: str
    change: str
    reason: str


_SLACK = "a bound with slack: every value near it keeps every promise"
_TOGETHER = "a job and its hold are written together"
_WHETHER = "is asked only whether it is"
_UNCOUNTED = "nobody counts the steps of an end"
_ALONE = "an index alone has no step"
_NO_ZERO = "changes of nothing are left out before"
_NO_BARE_MOMENT = "no entry has a bare moment as its key"
_BEFORE = "a guard behind the wire's and the manifest's own: nothing reaches it"
_ONE_LENGTH = "both are always of one length"
_BYTES = "the same row in more bytes; bench/cost weighs it"
_SECONDS = "pydantic reads seconds as a time too"
_ASKED_AGAIN = "the conditional write asks the same again"
_SAME = "a second write of what the round has noted already"
_ROOM = "a class of which nothing is under way has room, however few may be"
_FIRST = "a job's first unit is never held back, so that a round which holds some back has passed it"
_ROWS = "rows of jobs are never deleted, so that it is always there"

# No part of the score.
EXCLUDED: tuple[Note, ...] = (
    Note(
        "units/dynamo.py",
        "DynamoUnitStore._beat",
        "'progress_fraction = :fraction'  ->  '",
        "part of an update that looks like a condition",
    ),
    Note("units/edges.py", "", "128  ->  ", _SLACK),
    Note(
        "workflow/closing.py",
        "Closing._after",
        "self._jobs.get(job.id) or job  ->  self._jobs.get(job.id)$",
        _ROWS,
    ),
    Note("workflow/closing.py", "Closing._end", "fresh is not None and fresh.is_live  ->  fresh.is_live", _ROWS),
    Note("workflow/tending.py", "Tending._after", "lacks_consequences(fresh, done)  ->  not done.thorough", _ROWS),
    Note("workflow/outbox.py", "Outbox._wake", "wakes(job)  ->  job.task_token is not None and", _ROWS),
    Note(
        "workflow/outbox.py", "Outbox._wake", "wakes(job)  ->  job is not None and wakes(job)", "`wakes` asks for the token too"
    ),
    Note(
        "workflow/outbox.py",
        "Outbox._move_unit",
        "after.failure is not None  ->  after.status in BROKEN$",
        "a broken unit always says why",
    ),
    Note(
        "workflow/tending.py",
        "Tending._tend",
        "moved.failure is not None  ->  moved.status in BROKEN$",
        "a broken unit always says why",
    ),
    Note(
        "workflow/tending.py",
        "Tending._after",
        "done.fan_outs and (not done.held)  ->  not done.held",
        "writes an empty set out of a set: costs a write, changes nothing",
    ),
    Note("workflow/tending.py", "Tending._begin", "if unit is not None: ...  ->  if True", "rows of units are never deleted"),
    Note("units/edges.py", "_runs", "first is None or last is None  ->  ", "first and last are None together"),
    Note("units/edges.py", "_runs", "first is not None and last is not None  ->  ", "first and last are None together"),
    Note("units/edges.py", "_runs", "^step or 1  ->  step$", _ALONE),
    Note("units/edges.py", "_runs", "^1  ->  ", _ALONE),
    Note(
        "ledger/dynamo.py",
        "balance_write",
        "if getattr(deltas, account)  ->  for account in _ACCOUNTS",
        "adds nothing to an account",
    ),
    Note("ledger/dynamo.py", "balance_write", "change < 0  ->  change <= 0", _NO_ZERO),
    Note("ledger/dynamo.py", "balance_write", "0  ->  1", _NO_ZERO),
    Note("ledger/dynamo.py", "DynamoLedgerStore.between", "time_key >= :start'  ->  ", _NO_BARE_MOMENT),
    Note(
        "ledger/memory.py", "MemoryLedgerStore.between", "time_key(row) < behind  ->  time_key(row) <= behind", _NO_BARE_MOMENT
    ),
    Note("ledger/memory.py", "MemoryLedgerStore.between", "time_key(row) >= first  ->  time_key(row) > first", _NO_BARE_MOMENT),
    Note("planning/pricing.py", "charge", "if not math.isfinite(runtime_seconds): ...  ->  if False", _BEFORE),
    Note("planning/pricing.py", "charge", "return credits_max  ->  return None", _BEFORE),
    Note("planning/pricing.py", "charge", "1  ->  0", "a started minute of the cheapest class costs one anyway"),
    Note("planning/pricing.py", "capability_for", "if capability is None: ...  ->  if False", _BEFORE),
    Note("planning/pricing.py", "capability_for", "raise ValueError", _BEFORE),
    Note("transitions/dynamo.py", "DynamoTransitions.submit", "True  ->  False", _ONE_LENGTH),
    Note(
        "transitions/dynamo.py", "DynamoTransitions.close", "2  ->  3", "the third statement has no condition that could fail"
    ),
    Note(
        "transitions/dynamo.py",
        "DynamoTransitions._transact",
        "else []  ->  cancellation_codes(error)",
        "no other error has such reasons",
    ),
    Note(
        "transitions/dynamo.py", "DynamoTransitions._transact", "return []  ->  return None", "means the same to both callers"
    ),
    Note(
        "transitions/memory.py", "MemoryTransitions.look", "->  self._idempotency.get(wanted.record_id)", "no record has no id"
    ),
    Note(
        "transitions/memory.py",
        "MemoryTransitions._obstacles",
        "or self._ledger.is_posted(hold)  ->  self._ledger.is_posted(hold)$",
        _TOGETHER,
    ),
    Note("transitions/memory.py", "MemoryTransitions._obstacles", "->  job.id in self._world.jobs$", _TOGETHER),
    Note("transitions/memory.py", "MemoryTransitions._obstacles", "->  job.id in self._world.jobs and self", _TOGETHER),
    Note("transitions/memory.py", "MemoryTransitions._obstacles", "True  ->  False", _ONE_LENGTH),
    Note("units/decide.py", "holds_already", "return False  ->  return None", _WHETHER),
    Note("workflow/closing.py", "Closing.go_on", "step.steps + 1  ->  ", _UNCOUNTED),
    Note("workflow/closing.py", "Closing.go_on", "^1  ->  ", _UNCOUNTED),
    Note("workflow/closing.py", "Closing._after", "step.steps + 1  ->  step.steps - 1$", _UNCOUNTED),
    Note("workflow/closing.py", "Closing._after", "^1  ->  ", _UNCOUNTED),
    Note("workflow/moves.py", "apply_move", "if fresh is None: ...  ->  if False", "rows of units are never deleted"),
    Note("workflow/moves.py", "apply_move", "raise LookupError", "rows of units are never deleted"),
    Note("units/decide.py", "_remembering", "->  not speaks_of_the_machine(code)$", "is asked of leased units alone"),
    Note("units/decide.py", "standing", "->  held and (unit.attempt, held.token) ==", "a lease means that the unit runs"),
    Note("units/heartbeats.py", "Heartbeats.renew", "^0  ->  ", "a lease that was just renewed lasts for some seconds"),
    Note("units/claims.py", "Claims._lease", "^0  ->  -1$", "an attempt of no age is no younger"),
    Note("units/claims.py", "Claims._lease", "^0  ->  1$", "an attempt of one second is as young"),
    Note("units/dynamo.py", "unit_item", "True  ->  False", "what is None is left out once more"),
    Note("units/dynamo.py", "unit_item", "row['outputs'] = [_output_row(output)", _BYTES),
    Note("units/dynamo.py", "unit_item", "or None for name in _OFTEN_EMPTY}  ->  pass", _BYTES),
    Note("units/dynamo.py", "unit_item", "row[name] or None  ->  row[name]$", _BYTES),
    Note("units/dynamo.py", "unit_from", "if 'lease' in row: ...  ->  if False", _SECONDS),
    Note("units/dynamo.py", "unit_from", "row['lease']['deadline'] =", _SECONDS),
    Note("units/dynamo.py", "DynamoUnitStore.renew", "unit.attempt == lease.attempt  ->  unit is not None$", _ASKED_AGAIN),
    Note("units/dynamo.py", "DynamoUnitStore.renew", "->  held is None or held.deadline <= now", _ASKED_AGAIN),
    Note("units/claims.py", "Claims.claim", "continue  ->  pass", "the loop's last statement"),
    Note("workflow/tending.py", "Tending._conclude", "return None  ->  pass", "the function's last statement"),
    Note("workflow/tending.py", "Tending._conclude", "logger.info", "a line of the log"),
    Note("units/decide.py", "due", "return None  ->  pass", "the function's last statement"),
    Note("units/decide.py", "standing", "return Standing.LOST  ->  return None", _WHETHER),
    Note("units/decide.py", "observed_runtime", "->  unit.started_at$", "a leased unit was started"),
    Note("units/decide.py", "_remembering", "^0  ->  -1$", "each machine is remembered once"),
    Note(
        "units/heartbeats.py", "Heartbeats.renew", "->  unit is None or unit.lease.node_id", "what was just renewed is leased"
    ),
    Note(
        "workflow/decide.py", "held_back", "if seen.high is not None and unit.capability in seen.held: ...  ->  if False", _SAME
    ),
    Note("workflow/decide.py", "tended", "^0  ->  -1$", "no round reaches less far than none"),
    Note("workflow/decide.py", "has_room", "^0  ->  -1$", _ROOM),
    Note("workflow/decide.py", "_most_under_way", "^0  ->  ", _ROOM),
    Note("workflow/decide.py", "_to_be_done", "^0  ->  ", "a class is held back while units of it are under way"),
    Note("workflow/decide.py", "window_after", "done.whole and done.wanted is None  ->  done.whole$", _FIRST),
    Note(
        "workflow/decide.py",
        "window_after",
        "->  done.whole and done.wanted is None$",
        "a job's first round is over everything",
    ),
)
# Part of the score.
UNNOTICED: tuple[Note, ...] = (
    Note(
        "transitions/dynamo.py",
        "DynamoTransitions._transact",
        "codes and _HOPELESS.isdisjoint(codes)  ->  codes$",
        "moto refuses such a transaction as a whole, DynamoDB one statement of it",
    ),
)


def matches(note: Note, mutant: Mutant) -> bool:
    here = (note.path, note.function) == (mutant.path, mutant.function)
    return here and note.change in f"^{mutant.before}  ->  {mutant.after}$"


def reason_of(mutant: Mutant) -> str | None:
    return next((note.reason for note in EXCLUDED if matches(note, mutant)), None)
