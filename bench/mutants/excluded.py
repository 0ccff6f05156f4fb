"""Mutants that no test can tell from the program or that no promise is about, each by its place and with the reason; and what
is known of those that should be noticed and are not."""

from dataclasses import dataclass

from bench.mutants.sites import Mutant


@dataclass(frozen=True, slots=True)
class Note:
    """``change`` stands in ``before  ->  after`` of the mutants that it is about; empty: every one of that function."""

    path: str
    function: str
    change: str
    reason: str


# No part of the score.
EXCLUDED: tuple[Note, ...] = (
    Note(
        "units/dynamo.py",
        "DynamoUnitStore._beat",
        "'progress_fraction = :fraction'  ->  '",
        "part of an update that looks like a condition",
    ),
)
# Part of the score.
UNNOTICED: tuple[Note, ...] = ()


def matches(note: Note, mutant: Mutant) -> bool:
    here = (note.path, note.function) == (mutant.path, mutant.function)
    return here and note.change in f"{mutant.before}  ->  {mutant.after}"


def reason_of(mutant: Mutant) -> str | None:
    return next((note.reason for note in EXCLUDED if matches(note, mutant)), None)
