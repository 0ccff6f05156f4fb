"""``single``: prepare → train → [evaluate] → package."""

from collections.abc import Collection
from dataclasses import replace

from gpupool.planning.model import Manifest, PlannedUnit, PlanRequest
from gpupool.planning.strategies.base import StrategyRules, lane, platform_step, required_entry
from gpupool.planning.tables import Table
from gpupool.wire.vocabulary import UnitRole


def plan(manifest: Manifest, request: PlanRequest) -> tuple[PlannedUnit, ...]:
    prepare = platform_step(0, UnitRole.PREPARE, (), request)
    trained = lane(manifest, request, index=1, needs=(0,))
    package = platform_step(1 + len(trained), UnitRole.PACKAGE, tuple(unit.index for unit in trained), request)
    return (prepare, *trained, package)


def read(document: Table, manifest: Manifest, names: Collection[str]) -> Manifest:
    return read_lane(document, replace(manifest, entry=required_entry(document, manifest)), names)


def read_lane(document: Table, manifest: Manifest, names: Collection[str]) -> Manifest:
    """[train] and [evaluate], which ``sweep`` shares."""
    train = document.table("train") or Table({})
    train.only("args")
    evaluate = document.table("evaluate")
    if evaluate is None:
        return replace(manifest, train_args=train.texts("args"))
    evaluate.only("entry")
    entry = evaluate.required("entry", evaluate.script("entry", names), 'entry = "evaluate.py"')
    return replace(manifest, train_args=train.texts("args"), evaluate_entry=entry)


RULES = StrategyRules(sections=frozenset({"train", "evaluate"}), read=read, plan=plan)
