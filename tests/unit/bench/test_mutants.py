"""Which mistakes are made of a program, and that a copy that hangs or dies has been noticed."""

import ast
import os
from functools import partial

import pytest

from bench.mutants.conditions import conjuncts_of, text_variants
from bench.mutants.excluded import EXCLUDED, UNNOTICED, Note, matches
from bench.mutants.install import live_functions, load_anew
from bench.mutants.operators import variants
from bench.mutants.report import interval
from bench.mutants.run import Wanted, chosen
from bench.mutants.sites import PACKAGE, compiled, mutants_of
from bench.mutants.suite import load, stages
from bench.mutants.targets import TARGETS
from bench.mutants.trial import in_a_copy

MUTANTS = [mutant for path in TARGETS for mutant in mutants_of(path)]


def made_of(text: str) -> set[str]:
    """What the outermost node of an expression or a statement becomes."""
    statement = ast.parse(text).body[0]
    node = statement.value if isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Call) else statement
    return {ast.unparse(ast.fix_missing_locations(changed)) for _, changed in variants(node)}


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a is None", {"a is not None"}),
        ("a and b and c", {"b and c", "a and c", "a and b", "a or b or c"}),
        ("not a", {"a"}),
        ("a if b else c", {"a", "c"}),
        ("a + 1", {"a - 1"}),
        ("3", {"4", "2"}),
        ("True", {"False"}),
        ("if a: b()", {"if False:\n    b()", "if True:\n    b()"}),
        ("raise A", {"pass"}),
        ("a()", {"pass"}),
        ("a[0] = b", {"pass"}),
        ("'a message'", set()),
    ],
)
def test_one_node_makes_these_mistakes(text: str, mistakes: set[str]) -> None:
    assert made_of(text) == mistakes


def test_a_written_field_is_left_out() -> None:
    call = ast.parse("replace(unit, lease=None, failure=why)", mode="eval").body

    assert {ast.unparse(changed) for _, changed in variants(call)} == {
        "replace(unit, failure=why)",
        "replace(unit, lease=None)",
    }


def test_a_conjunct_of_a_text_is_always_true_or_the_other_way_round() -> None:
    assert set(text_variants("#a = :a AND b >= :b")) == {
        ("condition removed", "(#a = :a OR NOT #a = :a) AND b >= :b"),
        ("condition negated", "(NOT #a = :a) AND b >= :b"),
        ("bound moved", "#a <> :a AND b >= :b"),
        ("condition removed", "#a = :a AND (b >= :b OR NOT b >= :b)"),
        ("condition negated", "#a = :a AND (NOT b >= :b)"),
        ("bound moved", "#a = :a AND b > :b"),
    }


def test_text_that_is_no_condition_is_left_alone() -> None:
    assert conjuncts_of("SET #status = :queued, queued_at = :now") == ()
    assert conjuncts_of("Bread AND butter") == ()
    assert conjuncts_of("a = :a AND b BETWEEN :c AND :d") == ("a = :a", "b BETWEEN :c AND :d")


def test_every_mutant_is_a_program_and_has_a_key_of_its_own() -> None:
    assert len({mutant.key for mutant in MUTANTS}) == len(MUTANTS) > 1_000
    for mutant in MUTANTS[::20]:
        compiled(mutant)


@pytest.mark.parametrize("note", [*EXCLUDED, *UNNOTICED], ids=lambda note: f"{note.path} {note.function} {note.change}")
def test_every_note_is_about_a_mutant_that_is_there(note: Note) -> None:
    assert any(matches(note, mutant) for mutant in MUTANTS)
    assert note.reason


@pytest.mark.parametrize(
    ("work", "noticed"),
    [
        (lambda: "", ""),
        (lambda: "a promise was broken", "a promise was broken"),
        (lambda: [][0], "IndexError: list index out of range"),
        (lambda: os._exit(3), "the process died"),
    ],
)
def test_a_copy_says_what_was_noticed(work: object, noticed: str) -> None:
    assert in_a_copy(lambda: None, work, cpu_seconds=20).noticed == noticed  # type: ignore[arg-type]


def test_a_copy_that_hangs_is_ended() -> None:
    def never_ends() -> str:
        while True:
            pass

    assert in_a_copy(lambda: None, never_ends, cpu_seconds=1).noticed == "it never came to an end"


def test_the_program_loaded_anew_is_no_mutant() -> None:
    first = stages()[0]
    load(first)
    path = PACKAGE / "units" / "decide.py"
    program = compile(path.read_text(), str(path), "exec")

    verdict = in_a_copy(partial(load_anew, "gpupool.units.decide", program), partial(first.notice, ()), cpu_seconds=60)

    assert verdict.noticed == ""


def test_functions_are_found_after_a_copy_too() -> None:
    before = live_functions()
    in_a_copy(lambda: None, str, cpu_seconds=10)

    assert live_functions().keys() >= before.keys() > set()


def test_what_is_drawn_is_a_part_of_all_and_the_same_every_time() -> None:
    everything = chosen(Wanted(("units/decide.py",), None, (), 0))
    drawn = chosen(Wanted(("units/decide.py",), None, (), 0, drawn=10))
    assert len(drawn) == 10
    assert set(drawn) < set(everything)
    assert drawn == chosen(Wanted(("units/decide.py",), None, (), 0, drawn=10))


def test_a_share_that_was_seen_in_few_is_known_less_well() -> None:
    assert [round(bound, 3) for bound in interval(95, 100)] == [0.888, 0.978]
    assert [round(bound, 3) for bound in interval(950, 1_000)] == [0.935, 0.962]
    assert interval(10, 10)[1] == pytest.approx(1)
