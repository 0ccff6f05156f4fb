"""Many seeds, on several cores, and what came of them."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.simulate.simulation import UNITS_PER_SEED, Result, simulate
from local.layout import REPO_ROOT

_SHOWN = 3


@dataclass
class Summary:
    """Of all seeds together; seconds are summed over the cores."""

    seeds: int = 0
    jobs: int = 0
    units: int = 0
    completed: int = 0
    events: int = 0
    virtual_seconds: float = 0.0
    core_seconds: float = 0.0
    wall_seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.jobs += result.jobs
        self.units += result.units
        self.completed += result.completed
        self.events += result.events
        self.virtual_seconds += result.virtual_seconds
        self.core_seconds += result.core_seconds
        self.faults += result.faults
        if result.failure is not None:
            self.broken.append(result)

    @property
    def units_per_core_second(self) -> float:
        return self.units / self.core_seconds if self.core_seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "commit": commit(),
            "seeds": self.seeds,
            "jobs": self.jobs,
            "units": self.units,
            "completed": self.completed,
            "events": self.events,
            "virtual_days": round(self.virtual_seconds / 86_400, 1),
            "wall_seconds": round(self.wall_seconds, 1),
            "units_per_core_second": round(self.units_per_core_second),
            "faults": dict(sorted(self.faults.items())),
            "violations": len(self.broken),
        }


def play(seeds: Iterable[int], *, units: int = UNITS_PER_SEED, jobs: int = 1, bar: bool = True) -> Summary:
    """Plays every seed; broken promises are collected, none stops the others."""
    wanted = list(seeds)
    summary = Summary()
    began = time.perf_counter()
    with _progress(len(wanted), shown=bar) as step:
        for result in _results(wanted, units, jobs):
            summary.add(result)
            step(summary)
    summary.wall_seconds = time.perf_counter() - began
    return summary


def run(seeds: int = 100, *, first: int = 0, units: int | None = None, jobs: int = 1) -> dict[str, Any]:
    """``units`` of all seeds together. The figures, and on the terminal what they say."""
    each = UNITS_PER_SEED if units is None else -(-units // seeds)
    summary = play(range(first, first + seeds), units=each, jobs=jobs)
    figures = summary.as_json()
    faults = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in summary.faults.most_common())
    print(
        f"simulation       {summary.seeds:,} seeds, {summary.jobs:,} jobs, {summary.units:,} units "
        f"({summary.completed:,} completed), {summary.events:,} events over {figures['virtual_days']:,} virtual days, "
        f"{figures['wall_seconds']:,} s, {figures['units_per_core_second']:,} units/s per core"
    )
    print(f"faults           {sum(summary.faults.values()):,}: {faults or 'none'}")
    print(f"violations       {len(summary.broken)}")
    for result in sorted(summary.broken, key=lambda each: each.seed)[:_SHOWN]:
        print(report(result, units=each))
    return figures


def report(result: Result, *, units: int) -> str:
    """Everything that is needed to play a broken seed again."""
    failure = result.failure
    if failure is None:
        return f"seed {result.seed}: every promise was kept"
    size = "" if units == UNITS_PER_SEED else f" --size {units}"
    lines = [
        f"\nVIOLATION of: {failure.promise}",
        f"found:        {failure.found}",
        f"seed:         {result.seed}",
        f"commit:       {commit()}",
        f"replay:       python -m bench.simulate --seed {result.seed}{size} --trace",
        "the last that happened:",
        *failure.trace,
    ]
    return "\n".join(lines)


def commit() -> str:
    """What the seeds belong to: another commit may play them otherwise."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPO_ROOT, capture_output=True, text=True, check=False
    )
    return said.stdout.strip() or "unknown"


def _results(seeds: list[int], units: int, jobs: int) -> Iterator[Result]:
    play_one = partial(simulate, units=units)
    if jobs == 1:
        yield from map(play_one, seeds)
        return
    with get_context("spawn").Pool(jobs, maxtasksperchild=50) as pool:
        yield from pool.imap_unordered(play_one, seeds, chunksize=8)


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("seeds  {task.fields[units]:,} units  {task.fields[broken]} broken"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True, disable=not shown, refresh_per_second=2) as progress:
        task = progress.add_task("simulating", total=total, units=0, broken=0)
        yield lambda summary: progress.update(task, advance=1, units=summary.units, broken=len(summary.broken))
