"""Edges in short, and gates."""

from hypothesis import given
from hypothesis import strategies as st

from gpupool.units.edges import MOST_OWN_NEEDS, first_open_needs, gate_of, gates_of, gathers, in_full, in_short

INDEXES = st.lists(st.integers(0, 99_999), unique=True).map(lambda found: tuple(sorted(found)))
STRETCHES = st.builds(lambda first, count, step: tuple(range(first, first + count * step, step)), *[st.integers(1, 999)] * 3)


@given(st.one_of(INDEXES, STRETCHES))
def test_what_is_written_in_short_is_read_in_full(indexes: tuple[int, ...]) -> None:
    assert in_full(in_short(indexes)) == indexes


def test_a_hundred_thousand_lanes_fit_a_few_characters() -> None:
    assert in_short(tuple(range(1, 100_000, 2))) == "1-99999/2"
    assert in_short((0, 4, 5, 6, 7, 99)) == "0-4/4,5-7,99"
    assert in_short(()) == ""


@given(INDEXES)
def test_every_need_is_behind_exactly_one_gate(needs: tuple[int, ...]) -> None:
    gates = gates_of("job.99999", needs)
    if not gathers(needs):
        assert gates == ()
        assert first_open_needs(needs) == frozenset(needs)
        return
    behind = sorted(need for gate in gates for need in gate.open_needs)
    assert tuple(behind) == needs
    assert all(gate_of(need) == gate.number for gate in gates for need in gate.open_needs)
    assert first_open_needs(needs) == {gate.number for gate in gates}


def test_a_few_needs_stand_in_the_units_own_row() -> None:
    assert not gathers(tuple(range(MOST_OWN_NEEDS)))
    assert gathers(tuple(range(MOST_OWN_NEEDS + 1)))


def test_a_gate_is_small_whatever_the_job() -> None:
    assert max(len(gate.open_needs) for gate in gates_of("job.99999", tuple(range(99_999)))) <= 128
