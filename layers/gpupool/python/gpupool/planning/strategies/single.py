"""``single``: prepare → train → [evaluate] → package."""

from collections.abc import Collection
from dataclasses import replace

from gpupool.planning.limits import MAX_PARAMETERS_BYTES
from gpupool.planning.model import Manifest, PlannedUnits, PlanRequest
from gpupool.planning.parameters import written_bytes
from gpupool.planning.strategies.base import StrategyRules, evaluation, platform_step, required_entry, training, written_out
from gpupool.planning.tables import Table
from gpupool.wire.vocabulary import UnitRole


def plan(manifest: Manifest, request: PlanRequest) -> PlannedUnits:
    prepare = platform_step(0, UnitRole.PREPARE, (), request)
    lane = [training(manifest, request, index=1, needs=(0,))]
    if manifest.evaluate_entry is not None:
        lane.append(evaluation(manifest, lane[0]))
    package = platform_step(1 + len(lane), UnitRole.PACKAGE, tuple(unit.index for unit in lane), request)
    return written_out([prepare, *lane, package])


def read(document: Table, manifest: Manifest, names: Collection[str]) -> Manifest:
    return read_lane(document, replace(manifest, entry=required_entry(document, manifest)), names)


def read_lane(document: Table, manifest: Manifest, names: Collection[str]) -> Manifest:
    """[train] and [evaluate], which ``sweep`` shares."""
    train = document.table("train") or Table({})
    train.only("args")
    args = train.texts("args")
    if written_bytes(args) > MAX_PARAMETERS_BYTES:
        raise train.refuse("args", f"take more than {MAX_PARAMETERS_BYTES} bytes written out; use fewer or shorter ones.")
    evaluate = document.table("evaluate")
    if evaluate is None:
        return replace(manifest, train_args=args)
    evaluate.only("entry")
    entry = evaluate.required("entry", evaluate.script("entry", names), 'entry = "evaluate.py"')
    return replace(manifest, train_args=args, evaluate_entry=entry)


RULES = StrategyRules(sections=frozenset({"train", "evaluate"}), read=read, plan=plan)
