"""The inputs of a unit with many needs, over the tables in memory and in DynamoDB."""

from dataclasses import replace

import pytest

from gpupool.objects.memory import MemoryObjectStore
from gpupool.units.inputs import BARE_NEEDS_PER_PAGE, NEEDS_PER_PAGE, Inputs
from gpupool.units.model import Unit, UnitStatus
from gpupool.wire.vocabulary import ArtifactKind, UnitRole
from tests.contract.both import Stores
from tests.factories import a_unit, an_output, some_work


class LongUrls(MemoryObjectStore):
    """As long as a signature with a session token makes them."""

    def presign_get(self, key: str, *, filename: str | None, expires_seconds: int) -> str:
        return super().presign_get(key, filename=filename, expires_seconds=expires_seconds).ljust(2_048, "x")


class Shelf:
    """A job whose units are added as a test needs them."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.inputs = Inputs(units=stores.units, jobs=stores.jobs, objects=LongUrls())
        stores.submitted()

    def with_needs(
        self,
        *indexes: int,
        role: UnitRole = UnitRole.RUN,
        objective: str | None = None,
        left: tuple[str, ...] = ("model.tar.gz",),
    ) -> Unit:
        """A unit that needs those, which each left files and a log and measured their index."""
        outputs = (*map(an_output, left), an_output("log.txt", kind=ArtifactKind.LOGS))
        ended = {"status": UnitStatus.COMPLETED, "attempt": 1, "outputs": outputs}
        needs = (a_unit(index, metrics={"x": index + 0.5, "y": 1.0}, **ended) for index in indexes)
        self._stores.units.add_all(tuple(needs))
        work = replace(some_work(), role=role, objective=objective)
        return a_unit(max(indexes) + 1, needs=indexes, work=work)


@pytest.fixture
def shelf(stores: Stores) -> Shelf:
    return Shelf(stores)


@pytest.mark.parametrize("indexes", [(0,), (7,), (0, 1, 2), (3, 4), (0, 2, 3, 4, 9), (1, 3, 5)])
def test_a_page_holds_each_need_with_what_it_left(shelf: Shelf, indexes: tuple[int, ...]) -> None:
    answer = shelf.inputs.page(shelf.with_needs(*indexes))
    assert [need.unit_id for need in answer.needs] == [a_unit(index).id for index in indexes]
    assert [[output.name for output in need.outputs] for need in answer.needs] == [["model.tar.gz"]] * len(indexes)
    assert all(a_unit(index).id in need.outputs[0].download.url for index, need in zip(indexes, answer.needs, strict=True))
    assert answer.more_needs is None


def test_units_between_two_needs_are_no_needs(shelf: Shelf) -> None:
    shelf.with_needs(*range(5))
    answer = shelf.inputs.page(a_unit(5, needs=(0, 3)))
    assert [need.unit_name for need in answer.needs] == ["train_000", "train_003"]


def test_pages_together_are_all_needs_in_their_order(shelf: Shelf) -> None:
    unit = shelf.with_needs(*range(2, 2 * NEEDS_PER_PAGE + 5))
    seen, sizes, cursor = [], [], None
    while True:
        answer = shelf.inputs.page(unit, cursor=cursor)
        sizes.append(len(answer.needs))
        seen += [need.unit_id for need in answer.needs]
        cursor = answer.more_needs
        if cursor is None:
            break
    assert sizes == [NEEDS_PER_PAGE, NEEDS_PER_PAGE, 3]
    assert seen == [a_unit(index).id for index in unit.needs]


def test_a_full_last_page_has_no_next(shelf: Shelf) -> None:
    assert shelf.inputs.page(shelf.with_needs(*range(NEEDS_PER_PAGE))).more_needs is None


def test_a_cursor_beyond_the_end_leads_to_nothing(shelf: Shelf) -> None:
    answer = shelf.inputs.page(shelf.with_needs(0, 1), cursor="500")
    assert (answer.needs, answer.more_needs) == ([], None)


def test_select_is_told_what_each_lane_measured_and_nothing_to_fetch(shelf: Shelf) -> None:
    unit = shelf.with_needs(*range(60), role=UnitRole.SELECT, objective="x")
    answer = shelf.inputs.for_grant(unit, pages=True)
    assert [(need.measured, need.outputs) for need in answer.needs] == [(index + 0.5, []) for index in range(60)]
    assert len(shelf.inputs.for_grant(unit, pages=False).needs[0].outputs) == 1


def test_what_was_not_measured_is_none(shelf: Shelf) -> None:
    unit = shelf.with_needs(0, role=UnitRole.SELECT, objective="z")
    assert [need.measured for need in shelf.inputs.page(unit, outputs=False).needs] == [None]


def test_named_needs_come_with_their_outputs(shelf: Shelf) -> None:
    unit = shelf.with_needs(*range(1, 60), role=UnitRole.SELECT, objective="x")
    answer = shelf.inputs.only(unit, [a_unit(57).id, a_unit(58).id])
    assert [(need.unit_id, len(need.outputs)) for need in answer.needs] == [(a_unit(57).id, 1), (a_unit(58).id, 1)]
    assert answer.more_needs is None


def test_only_needs_of_the_unit_can_be_named(shelf: Shelf) -> None:
    shelf.with_needs(0, 1)
    answer = shelf.inputs.only(a_unit(2, needs=(0,)), [a_unit(1).id, a_unit(2).id, "another-job.00000"])
    assert answer.needs == []


def test_a_need_whose_row_is_missing_is_an_error(shelf: Shelf) -> None:
    shelf.with_needs(0, 1)
    with pytest.raises(LookupError):
        shelf.inputs.page(a_unit(9, needs=(0, 1, 2)))
    with pytest.raises(LookupError):
        shelf.inputs.page(a_unit(9, needs=(5,)))


def test_pages_fit_what_a_function_may_answer_and_an_agent_reads(shelf: Shelf) -> None:
    left = ("model.tar.gz", "checkpoint.tar.gz", "output.tar.gz", "metrics.jsonl")
    unit = shelf.with_needs(*range(NEEDS_PER_PAGE), role=UnitRole.SELECT, objective="x", left=left)
    full = shelf.inputs.page(unit)
    assert sum(len(need.outputs) for need in full.needs) == 4 * NEEDS_PER_PAGE
    assert len(full.model_dump_json()) < 500_000
    bare = shelf.inputs.page(unit, outputs=False)
    assert len(bare.model_dump_json()) * BARE_NEEDS_PER_PAGE / NEEDS_PER_PAGE < 150_000
