"""Every mutant against every stage until one notices it, the most telling mutants first."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from random import Random

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.mutants import suite
from bench.mutants.excluded import reason_of
from bench.mutants.install import Functions, install, live_functions
from bench.mutants.sites import Mutant, mutants_of
from bench.mutants.suite import Reached, Stage
from bench.mutants.trial import Verdict, in_a_copy
from bench.mutants.verdicts import Verdicts
from local.layout import DEFAULT_LAYOUT

SEED = 4
_TELLING = frozenset({"condition removed", "condition negated", "bound moved", "negation"})
_WITHOUT_PARTS = ("simulation, 24 seeds", "simulation, 105 seeds")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which modules, how many mutants beside the removed conditions, which stages, and for how long."""

    paths: tuple[str, ...]
    sample: int | None
    stages: tuple[Stage, ...]
    minutes: float


def chosen(wanted: Wanted) -> list[Mutant]:
    """Every removed condition, then a sample of the rest, in an order that depends on the seed alone."""
    found = [mutant for path in wanted.paths for mutant in mutants_of(path) if reason_of(mutant) is None]
    Random(SEED).shuffle(found)
    telling = [mutant for mutant in found if mutant.operator in _TELLING]
    rest = [mutant for mutant in found if mutant.operator not in _TELLING]
    return telling + (rest if wanted.sample is None else rest[: wanted.sample])


def run(wanted: Wanted, verdicts: Verdicts) -> None:
    """Stage after stage, so that what a short run has no time for are the dear stages."""
    suite.prepare()
    reached = _reached()
    functions = live_functions()
    until = time.monotonic() + 60 * wanted.minutes
    mutants = chosen(wanted)
    for stage in wanted.stages:
        left = [each for each in mutants if verdicts.get(each, stage) is None and not _is_noticed(each, verdicts)]
        _ask(stage, left, reached, functions, verdicts, until)


def noticed_by(mutant: Mutant, verdicts: Verdicts) -> tuple[Stage, str] | None:
    for stage in suite.stages():
        said = verdicts.get(mutant, stage)
        if said:
            return stage, said
    return None


def _is_noticed(mutant: Mutant, verdicts: Verdicts) -> bool:
    return noticed_by(mutant, verdicts) is not None


def _ask(
    stage: Stage,
    mutants: list[Mutant],
    reached: dict[str, Reached],
    functions: Functions,
    verdicts: Verdicts,
    until: float,
) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("mutants  {task.fields[noticed]} noticed  {task.fields[at]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, refresh_per_second=1) as progress:
        task = progress.add_task(stage.name, total=len(mutants), noticed=0, at="")
        noticed = 0
        for mutant in mutants:
            if time.monotonic() > until:
                return
            verdict = _try(stage, mutant, reached, functions)
            verdicts.add(mutant, stage, verdict)
            noticed += bool(verdict.noticed)
            progress.update(task, advance=1, noticed=noticed, at=f"{mutant.path}:{mutant.line}")


def _try(stage: Stage, mutant: Mutant, reached: dict[str, Reached], functions: Functions) -> Verdict:
    parts = _parts(stage, mutant, reached)
    if parts is None:
        return Verdict("", 0.0)
    return in_a_copy(partial(install, mutant, functions), partial(stage.notice, parts), cpu_seconds=stage.cpu_seconds)


def _parts(stage: Stage, mutant: Mutant, reached: dict[str, Reached]) -> tuple[str, ...] | None:
    """The parts of a stage that run the mutated function; None when none does, and nothing can be noticed."""
    known = reached.get(stage.name)
    if stage.name in _WITHOUT_PARTS:
        # What six seeds never run, a hundred may.
        return None if mutant.path.endswith("/dynamo.py") else ()
    if known is None:
        return ()
    mine = f"{mutant.path}:{mutant.function}"
    parts = tuple(part for part, functions in known.items() if _runs(mutant, mine, functions))
    return parts or None


def _runs(mutant: Mutant, mine: str, functions: Iterable[str]) -> bool:
    if mutant.function:
        return mine in functions
    return any(each.startswith(f"{mutant.path}:") for each in functions)


def _reached() -> dict[str, Reached]:
    path = DEFAULT_LAYOUT.home / "mutants" / "reached.json"
    about = "|".join(stage.digest for stage in suite.stages())
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["about"] == about:
            suite.load()
            return {
                stage: {part: frozenset(names) for part, names in parts.items()} for stage, parts in kept["reached"].items()
            }
    found = suite.reach()
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {stage: {part: sorted(names) for part, names in parts.items()} for stage, parts in found.items()}
    path.write_text(json.dumps({"about": about, "reached": plain}))
    return found
