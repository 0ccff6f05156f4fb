"""Every mutant against every stage until one notices it, the most telling mutants first."""

import json
import time
from collections.abc import Callable, Iterable
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which modules, how many mutants beside the removed conditions, which stages, and for how long. With ``drawn``, no more
    than so many, each as likely as any other: their share stands for that of all."""

    paths: tuple[str, ...]
    sample: int | None
    stages: tuple[Stage, ...]
    minutes: float
    drawn: int | None = None


def chosen(wanted: Wanted) -> list[Mutant]:
    """Every removed condition, then a sample of the rest, in an order that depends on the seed alone."""
    found = [mutant for path in wanted.paths for mutant in mutants_of(path) if reason_of(mutant) is None]
    Random(SEED).shuffle(found)
    if wanted.drawn is not None:
        return found[: wanted.drawn]
    telling = [mutant for mutant in found if mutant.operator in _TELLING]
    rest = [mutant for mutant in found if mutant.operator not in _TELLING]
    return telling + (rest if wanted.sample is None else rest[: wanted.sample])


def run(wanted: Wanted, verdicts: Verdicts) -> None:
    """Stage after stage, so that what a short run has no time for are the dear stages."""
    suite.prepare()
    until = time.monotonic() + 60 * wanted.minutes
    mutants = chosen(wanted)
    for stage in wanted.stages:
        left = [each for each in mutants if verdicts.get(each, stage) is None and not _is_noticed(each, stage, verdicts)]
        if left and time.monotonic() < until:
            reached = _reached(stage)
            _ask(stage, left, partial(_try, stage, reached, live_functions()), verdicts, until)


def noticed_by(mutant: Mutant, verdicts: Verdicts) -> tuple[Stage, str] | None:
    for stage in suite.stages():
        said = verdicts.get(mutant, stage)
        if said:
            return stage, said
    return None


def _is_noticed(mutant: Mutant, stage: Stage, verdicts: Verdicts) -> bool:
    """Whether the stage need not be asked any more. What unit tests notice, the fault suite has to notice too."""
    noticed = noticed_by(mutant, verdicts)
    return noticed is not None and (noticed[0].counts_as != suite.UNIT or stage.counts_as == suite.UNIT)


def _ask(
    stage: Stage,
    mutants: list[Mutant],
    judge: Callable[[Mutant], Verdict],
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
            verdict = judge(mutant)
            verdicts.add(mutant, stage, verdict)
            noticed += bool(verdict.noticed)
            progress.update(task, advance=1, noticed=noticed, at=f"{mutant.path}:{mutant.line}")


def _try(stage: Stage, reached: Reached, functions: Functions, mutant: Mutant) -> Verdict:
    parts = _parts(stage, mutant, reached)
    if parts is None:
        return Verdict("", 0.0)
    return in_a_copy(partial(install, mutant, functions), partial(stage.notice, parts), cpu_seconds=stage.cpu_seconds)


def _parts(stage: Stage, mutant: Mutant, reached: Reached) -> tuple[str, ...] | None:
    """The parts of a stage that run the mutated function; None when none does, and nothing can be noticed."""
    if stage.counts_as == "simulation" and mutant.path.endswith("/dynamo.py"):
        return None  # it plays over the tables in memory
    if not reached:
        return ()  # what the first seeds never run, a hundred may
    mine = f"{mutant.path}:{mutant.function}"
    parts = tuple(part for part, functions in reached.items() if mine in functions)
    # What is worked out once, for a module or in a function that remembers, was there before anybody looked.
    return parts or tuple(part for part, functions in reached.items() if _is_in(mutant.path, functions)) or None


def _is_in(path: str, functions: Iterable[str]) -> bool:
    return any(each.startswith(f"{path}:") for each in functions)


def _reached(stage: Stage) -> Reached:
    """What each part of a stage runs; kept, because to find out is as dear as to run all of it."""
    path = DEFAULT_LAYOUT.home / "mutants" / f"reached by {stage.name}, {stage.digest}.json"
    if path.exists():
        suite.load(stage)
        return {part: frozenset(names) for part, names in json.loads(path.read_text()).items()}
    suite.load(stage)
    found = suite.reach(stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({part: sorted(names) for part, names in found.items()}))
    return found
