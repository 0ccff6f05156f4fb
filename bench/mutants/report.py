"""``docs/mutants.md``: what was noticed, by what, and what was not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import sqrt

from bench.mutants.excluded import EXCLUDED, UNNOTICED, matches, reason_of
from bench.mutants.run import Wanted, noticed_by
from bench.mutants.sites import Mutant, mutants_of
from bench.mutants.suite import UNIT, Stage
from bench.mutants.verdicts import Verdicts
from bench.simulate.run import commit
from local.layout import REPO_ROOT

_PARTS = ("simulation", "states", "contract", "faults")
# A mutant that the fault suite let pass, and the unit tests' word where they noticed it.
_Left = tuple[Mutant, tuple[Stage, str] | None]
_HEAD = """# Mutants of the code that leases, pays and settles

Written by `make mutants`; not to be edited. {day}, commit {commit}.

A mutant is the program with one small mistake: a condition removed or turned round, also one that DynamoDB checks, a bound
moved by one, a statement, a `raise` or a written field left out. The fault suite must notice it: the deterministic simulation
(`bench/simulate`, the 105 worlds of `make test`), the small states (`tests/states`, which hold every decision over a few rows
against its rule, stated once more), the contract tests of the stores with their generated sequences
(`tests/contract`) or the crash points (`tests/faults`). A mutant is counted for the first that notices it. Unit tests do not
count; they were asked about what the fault suite let pass.

**{noticed} of {run} mutants that were run were noticed: {score}.** {sample} {rest}

"""
_MADE = """
## What is not made

Annotations, decorators, docstrings, imports, texts of messages, and locks, which only threads could miss.
"""


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    made: int
    run: int
    by: Counter[str]
    excluded: int

    @property
    def noticed(self) -> int:
        """By the fault suite, to which unit tests do not belong."""
        return sum(self.by[part] for part in _PARTS)


def write(wanted: Wanted, verdicts: Verdicts) -> None:
    """Writes the report and says its sum on the terminal."""
    rows: list[_Row] = []
    left: list[_Left] = []
    excluded: list[Mutant] = []
    for path in wanted.paths:
        mutants = list(mutants_of(path))
        excluded += [each for each in mutants if reason_of(each) is not None]
        mutants = [each for each in mutants if reason_of(each) is None]
        tried = [each for each in mutants if verdicts.was_tried(each)]
        found = {each: noticed_by(each, verdicts) for each in tried}
        by = Counter(stage.counts_as for stage, _ in filter(None, found.values()))
        left += [(each, noticed) for each, noticed in found.items() if noticed is None or noticed[0].counts_as == UNIT]
        rows.append(_Row(path, len(mutants), len(tried), by, sum(1 for each in excluded if each.path == path)))
    text = (
        _head(rows, _rest(left, wanted.stages, verdicts))
        + _table(rows)
        + _survivors(left, wanted.stages, verdicts)
        + _exclusions(excluded)
        + _MADE
    )
    target = REPO_ROOT / "docs" / "mutants.md"
    target.write_text(text)
    run, noticed = sum(row.run for row in rows), sum(row.noticed for row in rows)
    print(f"mutants          {noticed:,} of {run:,} noticed, {len(left)} left: {target.relative_to(REPO_ROOT)}")


def _head(rows: list[_Row], rest: str) -> str:
    made, run = sum(row.made for row in rows), sum(row.run for row in rows)
    noticed = sum(row.noticed for row in rows)
    sample = f"{made:,} can be made; all were run." if run == made else f"{made:,} can be made, {run:,} of them were run."
    if 0 < run < made:
        low, high = interval(noticed, run)
        sample += f" Where these were drawn at random, 95 % confidence reaches from {100 * low:.1f} to {100 * high:.1f} %."
    day = datetime.now(UTC).date().isoformat()
    return _HEAD.format(
        day=day,
        commit=commit(),
        noticed=f"{noticed:,}",
        run=f"{run:,}",
        score=_share(noticed, run),
        rest=rest,
        sample=sample,
    )


def _rest(left: list[_Left], stages: tuple[Stage, ...], verdicts: Verdicts) -> str:
    """What is known of those that the fault suite let pass."""
    suite = [stage for stage in stages if stage.counts_as != UNIT]
    not_asked = sum(any(verdicts.get(mutant, stage) is None for stage in suite) for mutant, _ in left)
    by_unit_tests = sum(noticed is not None for _, noticed in left)
    asked = all(noticed is not None or verdicts.get(mutant, stages[-1]) is not None for mutant, noticed in left)
    return (
        f"Of the {len(left):,} that are left, {not_asked:,} were not shown to all of the suite. Unit tests notice "
        f"{by_unit_tests:,} of them{'' if asked else ', and were not asked about all'}."
    )


def interval(part: int, whole: int) -> tuple[float, float]:
    """Wilson's, for a share that was seen in a sample: its bounds at 95 % confidence."""
    z, share = 1.96, part / whole
    middle = share + z * z / (2 * whole)
    spread = z * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return (middle - spread) / (1 + z * z / whole), (middle + spread) / (1 + z * z / whole)


def _table(rows: list[_Row]) -> str:
    head = "| module | made | run | simulation | states | contract | faults | left | score | of these left, unit tests notice |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|---|"]
    for row in [*rows, *_rooms(rows)]:
        parts = " | ".join(str(row.by[part]) for part in _PARTS)
        lines.append(
            f"| {row.path} | {row.made} | {row.run} | {parts} | {row.run - row.noticed} | {_share(row.noticed, row.run)} "
            f"| {row.by[UNIT]} |"
        )
    return "\n".join(lines) + "\n"


def _rooms(rows: list[_Row]) -> list[_Row]:
    """What the modules of a room come to together."""
    by_room: dict[str, list[_Row]] = {}
    for row in rows:
        by_room.setdefault(row.path.partition("/")[0], []).append(row)
    return [
        _Row(
            path=f"**{room}**",
            made=sum(row.made for row in each),
            run=sum(row.run for row in each),
            by=sum((row.by for row in each), Counter()),
            excluded=sum(row.excluded for row in each),
        )
        for room, each in by_room.items()
    ]


def _survivors(left: Iterable[_Left], stages: tuple[Stage, ...], verdicts: Verdicts) -> str:
    lines = [
        "",
        "## What was not noticed",
        "",
        "Where a stage stands in the last column, the mutant was not yet shown to it.",
        "",
        "| where | mistake | why | not asked |",
        "|---|---|---|---|",
    ]
    for mutant, noticed in sorted(left, key=lambda each: (each[0].path, each[0].line)):
        why = next((each.reason for each in UNNOTICED if matches(each, mutant)), "not looked at yet")
        if noticed is not None:
            why = f"{why}; a unit test notices it" if why != "not looked at yet" else "a unit test notices it"
        asked = [stage.name for stage in stages if stage.counts_as != UNIT and verdicts.get(mutant, stage) is None]
        lines.append(f"| {mutant.path}:{mutant.line} | {_change(mutant)} | {why} | {'; '.join(asked)} |")
    return "\n".join(lines) + "\n"


def _exclusions(excluded: list[Mutant]) -> str:
    lines = [
        "",
        "## What is left out, and why",
        "",
        "| module | function | mistake | mutants | reason |",
        "|---|---|---|---|---|",
    ]
    for each in EXCLUDED:
        count = sum(1 for mutant in excluded if matches(each, mutant))
        change = f"`{_cell(each.change)}`" if each.change else "any"
        lines.append(f"| {each.path} | {each.function or '(module)'} | {change} | {count} | {each.reason} |")
    return "\n".join(lines) + "\n"


def _change(mutant: Mutant) -> str:
    return f"{mutant.operator}: `{_cell(mutant.before)}` → `{_cell(mutant.after)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"
