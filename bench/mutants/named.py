"""``python -m bench.mutants.named``: conditions of claiming and settling, taken out one by one, and what notices each.

Those that everything else rests on, few enough to be tried at every change. Says one line of JSON.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.mutants import suite
from bench.mutants.install import install, live_functions
from bench.mutants.sites import Mutant, mutants_of
from bench.mutants.trial import in_a_copy

_MUCH_TOO_LONG = 60


@dataclass(frozen=True, slots=True)
class Named:
    """``change`` begins as the mutant's does; ``tests``: what is to notice it, the simulation when empty."""

    name: str
    path: str
    function: str
    before: str
    after: str
    tests: tuple[str, ...] = ()


_LEDGER, _TRANSITIONS, _UNITS = (f"tests/contract/test_{room}_store.py" for room in ("ledger", "transitions", "units"))
_CLAIMS = "tests/states/test_claims.py::test_every_claim_is_answered_as_its_unit_asks"
_RENEWS = f"{_UNITS}::test_only_the_holder_of_the_running_attempt_renews"


def _named(name: str, place: str, change: tuple[str, str], *tests: str) -> Named:
    path, _, function = place.partition(":")
    return Named(name, path, function, *change, tests)


NAMED: tuple[Named, ...] = (
    _named("a lease keeps others out", "units/decide.py:refuse_claim", ("if unit.lease is not None and", "if False"), _CLAIMS),
    _named("what ended is claimed by nobody", "units/decide.py:refuse_claim", ("if unit is None or", "if False")),
    _named("only a claim that is there is repeated", "units/decide.py:holds_already", ("if lease is None or", "if False")),
    _named("only the lease's token reports", "units/decide.py:standing", ("if unit.status is UnitStatus.RUNNING", "if True")),
    _named("only a ready unit is queued", "workflow/settle.py:Settlement._open", ("queued(", "queued(")),
    _named(
        "a claim is written over its own version",
        "units/memory.py:MemoryUnitStore.replace",
        ("if stored is None", "if False"),
        f"{_UNITS}::test_a_write_over_another_version_is_refused[memory]",
    ),
    _named("a debit is posted once", "transitions/memory.py:MemoryTransitions.settle", ("if self._ledger", "if False")),
    _named(
        "a job is closed once",
        "transitions/memory.py:MemoryTransitions.close",
        ("stored is None or", "stored is None or _paid"),
        f"{_TRANSITIONS}::test_the_first_end_counts[memory]",
    ),
    _named(
        "a job is closed over what it spent",
        "transitions/memory.py:MemoryTransitions.close",
        ("stored is None or", "stored is None or not stored.is_live"),
        f"{_TRANSITIONS}::test_a_job_that_paid_for_a_unit_since_it_was_read_is_not_ended[memory-0]",
    ),
    _named(
        "DynamoDB: an entry is written once",
        "ledger/dynamo.py:entry_write",
        ("'attribute_not_exists(entry_id)'", "'(attribute_not_exists"),
        f"{_LEDGER}::test_a_transfer_is_posted_once[moto]",
    ),
    _named(
        "DynamoDB: no account falls below zero",
        "ledger/dynamo.py:balance_write",
        ("write['ConditionExpression']", "write['ConditionExpression']"),
        f"{_TRANSITIONS}::test_what_is_not_held_cannot_be_spent[moto]",
    ),
    _named(
        "DynamoDB: a unit is written over its own version",
        "units/dynamo.py:replace_write",
        ("'#version = :version'", "'(#version = :version OR"),
        f"{_UNITS}::test_a_write_over_another_version_is_refused[moto]",
    ),
    _named(
        "DynamoDB: only a lease that holds is renewed",
        "units/dynamo.py:DynamoUnitStore._beat",
        ("ConditionExpression", "ConditionExpression"),
        f"{_RENEWS}[moto-unit0]",
    ),
    _named("DynamoDB: only a running unit is renewed", "units/dynamo.py:", ("'#status", "'(#status"), f"{_RENEWS}[moto-unit3]"),
)


def mutant_of(named: Named) -> Mutant:
    """The one that is meant; a name that fits none, or several, is out of date."""
    found = [each for each in mutants_of(named.path) if _fits(named, each)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} mutants are {named.name}")
    return found[0]


def main() -> None:
    suite.prepare()
    simulation = suite.stages()[0]
    states, contract = (stage for stage in suite.stages() if stage.name in ("small states", "contract"))
    for stage in (simulation, states, contract):
        suite.load(stage)
    functions = live_functions()
    noticed: dict[str, str] = {}
    for named in NAMED:
        work: Callable[[], str] = partial((contract if named.tests else simulation).notice, named.tests)
        if named.tests and (undisturbed := work()):
            # A test that is gone, or fails by itself, would notice every mutant there is.
            raise LookupError(f"without any mutant, {named.tests} say: {undisturbed}")
        prepare = partial(install, mutant_of(named), functions)
        noticed[named.name] = in_a_copy(prepare, work, cpu_seconds=_MUCH_TOO_LONG).noticed
    sys.stdout.write(json.dumps(noticed) + "\n")


def _fits(named: Named, mutant: Mutant) -> bool:
    return (
        mutant.function == named.function
        and mutant.operator == "condition removed"
        and mutant.before.startswith(named.before)
        and mutant.after.startswith(named.after)
    )


if __name__ == "__main__":
    main()
