"""Artifacts in memory and in DynamoDB answer alike."""

import pytest

from gpupool.ids import artifact_id
from tests.contract.both import Stores
from tests.factories import a_unit, an_artifact
from tests.support.work import JOB_ID


@pytest.fixture
def tables() -> tuple[str, ...]:
    return ("artifacts",)


def shelve(stores: Stores, index: int, *names: str) -> None:
    stores.artifacts.put(tuple(an_artifact(name, unit_id=a_unit(index).id) for name in names))


def test_an_artifact_comes_back_as_it_was_written(stores: Stores) -> None:
    shelve(stores, 0, "model.tar.gz")
    artifact = an_artifact()
    assert stores.artifacts.get(JOB_ID, artifact.id) == artifact
    assert stores.artifacts.get(JOB_ID, "other") is None
    assert stores.artifacts.get("other-job", artifact.id) is None


def test_an_artifact_that_is_put_again_stays_one(stores: Stores) -> None:
    for _ in range(2):
        shelve(stores, 0, "a", "b")
    assert stores.artifacts.of_unit(a_unit(0).id) == (an_artifact("a"), an_artifact("b"))


def test_what_a_unit_left_is_found_by_the_unit(stores: Stores) -> None:
    shelve(stores, 1, "a", "b")
    shelve(stores, 10, "c")
    assert [artifact.name for artifact in stores.artifacts.of_unit(a_unit(1).id)] == ["a", "b"]
    assert stores.artifacts.of_unit(a_unit(2).id) == ()


def test_what_several_units_left_is_found_at_once(stores: Stores) -> None:
    for index in (0, 1, 2, 10, 3):
        shelve(stores, index, f"b{index}", "a")
    found = stores.artifacts.of_units(a_unit(1).id, a_unit(3).id)
    assert [artifact.id for artifact in found] == [
        artifact_id(a_unit(index).id, name) for index in (1, 2, 3) for name in ("a", f"b{index}")
    ]
    assert stores.artifacts.of_units(a_unit(4).id, a_unit(9).id) == ()


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (10, [3])])
def test_pages_run_by_unit_and_name(stores: Stores, limit: int, sizes: list[int]) -> None:
    shelve(stores, 1, "z")
    shelve(stores, 0, "b", "a")
    seen = []
    key = None
    for at, size in enumerate(sizes):
        page = stores.artifacts.page(JOB_ID, limit=limit, key=key)
        assert len(page.items) == size
        seen += [artifact.name for artifact in page.items]
        key = page.next_key
        assert (key is None) == (at == len(sizes) - 1)
    assert seen == ["a", "b", "z"]


def test_a_job_without_artifacts_has_an_empty_page(stores: Stores) -> None:
    page = stores.artifacts.page("nobody", limit=10, key=None)
    assert (page.items, page.next_key) == ((), None)
