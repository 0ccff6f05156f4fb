"""DynamoDB's units by AWS's published rules and examples."""

import pytest

from bench.cost.capacity import Index, read_alone, read_together, refused, written
from bench.cost.sizes import item_bytes, read_units, value_bytes, write_units

KIB = 1024
BY_OWNER = Index(key=("owner",), attributes=None)


def of_size(size: int, **more: str) -> dict[str, dict[str, str]]:
    """An item of ``size`` bytes."""
    named = {name: {"S": value} for name, value in more.items()}
    return {"pk": {"S": "x" * (size - 2 - item_bytes(named))}, **named}


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "shoe"}, 4),
        ({"S": "Größe"}, 7),
        ({"B": b"12345"}, 5),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"N": "0"}, 1),
        ({"N": "7"}, 2),
        ({"N": "1234"}, 3),
        ({"N": "12345"}, 4),
        ({"N": "-12345"}, 5),
        ({"N": "1200000"}, 2),
        ({"N": "0.0012"}, 2),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["1", "23"]}, 4),
        ({"L": []}, 3),
        ({"M": {}}, 3),
        ({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + (1 + 2) + (1 + 2)),
        ({"M": {"Make": {"S": "Kia"}}}, 3 + 1 + 4 + 3),
    ],
)
def test_a_value_has_the_documented_size(value: dict[str, object], size: int) -> None:
    assert value_bytes(value) == size


def test_names_count_and_an_absent_item_has_no_size() -> None:
    assert item_bytes({"shoes": {"S": "oxford"}}) == 11
    assert item_bytes(None) == 0


def test_an_unknown_type_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="unknown attribute type X"):
        value_bytes({"X": "?"})


@pytest.mark.parametrize(("size", "units"), [(0, 1), (512, 1), (KIB, 1), (KIB + 1, 2), (3 * KIB + 512, 4), (100 * KIB, 100)])
def test_writes_are_billed_per_started_kilobyte(size: int, units: int) -> None:
    assert write_units(size) == units


@pytest.mark.parametrize(
    ("size", "consistent", "eventual"), [(0, 1, 0.5), (4 * KIB, 1, 0.5), (4 * KIB + 1, 2, 1), (8 * KIB, 2, 1)]
)
def test_reads_are_billed_per_started_four_kilobytes(size: int, consistent: float, eventual: float) -> None:
    assert (read_units(size, consistent=True), read_units(size, consistent=False)) == (consistent, eventual)


def test_an_update_is_billed_by_the_larger_of_the_item_before_and_after() -> None:
    assert written(of_size(2 * KIB), of_size(100)) == 2
    assert written(of_size(100), of_size(2 * KIB)) == 2
    assert written(of_size(3 * KIB), None) == 3
    assert written(None, None) == 1


def test_a_failed_condition_is_billed_by_the_larger_of_what_is_there_and_what_was_wanted() -> None:
    assert refused(of_size(2 * KIB), of_size(100)) == 2
    assert refused(None, of_size(3 * KIB)) == 3
    assert refused(None, None) == 1


def test_items_of_a_query_are_added_up_and_those_of_a_batch_are_not() -> None:
    items = [of_size(KIB) for _ in range(4)]

    assert read_together(list(items), consistent=True) == 1
    assert sum(read_alone(item, consistent=True) for item in items) == 4


def test_an_index_costs_a_write_when_its_entry_appears_changes_or_goes() -> None:
    bare, owned, other = of_size(100), of_size(100, owner="a"), of_size(99, owner="a")

    assert written(None, owned, (BY_OWNER,)) == 2
    assert written(owned, other, (BY_OWNER,)) == 2
    assert written(owned, bare, (BY_OWNER,)) == 2
    assert written(owned, None, (BY_OWNER,)) == 2


def test_a_changed_index_key_costs_two_writes() -> None:
    assert written(of_size(100, owner="a"), of_size(100, owner="b"), (BY_OWNER,)) == 3


def test_an_index_costs_nothing_when_nothing_in_it_changes() -> None:
    keys_only = Index(key=("owner",), attributes=frozenset({"pk", "owner"}))
    before = {"pk": {"S": "1"}, "owner": {"S": "a"}, "beats": {"N": "1"}}

    assert written(before, before | {"beats": {"N": "2"}}, (keys_only,)) == 1
    assert written(of_size(100), of_size(99), (BY_OWNER,)) == 1


def test_an_index_entry_is_billed_by_its_own_size() -> None:
    keys_only = Index(key=("owner",), attributes=frozenset({"owner"}))
    large = of_size(3 * KIB, owner="a")

    assert written(None, large, (BY_OWNER,)) == 6
    assert written(None, large, (keys_only,)) == 4
