"""Rows as attribute values. boto3's own types say what the values mean."""

from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupool.dynamo import from_item, to_item, value

NUMBERS = st.one_of(
    st.integers(-(10**37), 10**37), st.floats(-1e99, 1e99).filter(lambda number: number == 0 or abs(number) > 1e-99)
)
SCALARS = st.one_of(st.text(max_size=10), st.booleans(), NUMBERS)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4))
)
ROWS = st.dictionaries(st.text(max_size=5), st.one_of(VALUES, st.none(), st.sets(st.text(min_size=1, max_size=5))), max_size=6)


def kept(row: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in row.items() if each is not None and each != set()}


@settings(deadline=None)
@given(ROWS)
def test_what_was_written_is_read_again(row: dict[str, Any]) -> None:
    """Through floats: a whole number comes back as an int, which then has more digits than the float that it was."""
    assert _floats(from_item(to_item(row))) == _floats(kept(row))


@settings(deadline=None)
@given(st.integers(-(10**37), 10**37))
def test_integers_keep_every_digit(number: int) -> None:
    assert from_item({"n": value(number)}) == {"n": number}


@settings(deadline=None)
@given(ROWS)
def test_boto3_reads_what_we_write(row: dict[str, Any]) -> None:
    """Through floats, because boto3 reads decimals."""
    read = {name: TypeDeserializer().deserialize(each) for name, each in to_item(row).items()}

    assert _floats(read) == _floats(kept(row))


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.text(max_size=5), st.booleans(), st.integers(0, 10**9))))
def test_we_read_what_boto3_writes(row: dict[str, Any]) -> None:
    item = {name: TypeSerializer().serialize(each) for name, each in row.items()}

    assert from_item(item) == row


@pytest.mark.parametrize(
    ("digits", "number"), [("0", 0), ("-7", -7), ("1.0", 1), ("1E+22", 10**22), ("1.5E+30", 15 * 10**29), ("-0.25", -0.25)]
)
def test_a_whole_number_is_an_int_however_it_is_written(digits: str, number: float) -> None:
    read = from_item({"n": {"N": digits}})["n"]

    assert (read, type(read)) == (number, type(number))


@pytest.mark.parametrize("number", [1e-131, -1e-200, 5e-324])
def test_a_number_too_near_to_zero_for_the_table_is_zero(number: float) -> None:
    assert value(number) == {"N": "0"}


@pytest.mark.parametrize("refused", [float("nan"), float("inf"), float("-inf"), object(), b"bytes"])
def test_what_no_row_holds_is_refused(refused: object) -> None:
    with pytest.raises(TypeError, match="no attribute holds"):
        to_item({"name": refused})


def test_none_inside_a_map_is_left_out() -> None:
    assert value({"a": None, "b": [{"c": None}]}) == {"M": {"b": {"L": [{"M": {}}]}}}


def _floats(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _floats(inner) for name, inner in found.items()}
    if isinstance(found, list):
        return [_floats(inner) for inner in found]
    return found if isinstance(found, str | bool | set) else float(found)
