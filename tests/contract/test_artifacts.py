"""A job's artifacts, read from the rows of its units in memory and in DynamoDB."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.ids import artifact_id
from gpupool.pages import Key, Page
from gpupool.units.artifacts import Artifact, Artifacts
from gpupool.units.model import Output, Unit, UnitStatus
from gpupool.wire.vocabulary import ArtifactKind
from tests.contract.both import Stores
from tests.factories import NOW, SHA256, a_unit, an_output
from tests.support.work import JOB_ID

UNITS = {index: a_unit(index).id for index in range(12)}


@pytest.fixture
def tables() -> tuple[str, ...]:
    return ("units",)


def an_ended_unit(index: int, *names: str, **changes: Any) -> Unit:
    outputs = tuple(map(an_output, names))
    ended = {"status": UnitStatus.COMPLETED, "attempt": 1, "finished_at": NOW, "outputs": outputs}
    return a_unit(index, **(ended | changes))


def shelve(stores: Stores, **left: str) -> None:
    """Units by index, each with the files that it left."""
    stores.units.add_all(tuple(an_ended_unit(int(index[1:]), *names.split()) for index, names in left.items()))


class Counted:
    """Units whose rows are counted as they are read in pages."""

    def __init__(self, stores: Stores) -> None:
        self._units = stores.units
        self.rows = 0

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Unit]:
        page = self._units.page(job_id, limit=limit, key=key)
        self.rows += len(page.items)
        return page


def walked(artifacts: Artifacts, *, limit: int) -> list[list[str]]:
    """The ids on each page, behind those of its job."""
    pages, key = [], None
    while True:
        page = artifacts.page(JOB_ID, limit=limit, key=key)
        pages.append([artifact.id.removeprefix(f"{JOB_ID}.") for artifact in page.items])
        key = page.next_key
        if key is None:
            return pages


def test_an_artifact_says_what_the_row_of_its_unit_says(stores: Stores) -> None:
    output = Output("log.txt", ArtifactKind.LOGS, 7, SHA256)
    unit = an_ended_unit(3, attempt=2, outputs=(output,))
    stores.units.add_all((unit,))
    artifact = Artifact(
        id=f"{unit.id}.log.txt",
        job_id=JOB_ID,
        unit_id=unit.id,
        kind=ArtifactKind.LOGS,
        name="log.txt",
        size_bytes=7,
        sha256=SHA256,
        key=f"jobs/{JOB_ID}/{unit.id}/2/log.txt",
        created_at=NOW,
    )
    assert Artifacts(stores.units).get(JOB_ID, artifact.id) == artifact
    assert Artifacts(stores.units).page(JOB_ID, limit=10, key=None) == Page((artifact,), None)


@pytest.mark.parametrize(
    "wrong",
    [
        *("", ".", "..", "...", "other", "other.00000.model.tar.gz", "another-job.00000.model.tar.gz"),
        *(JOB_ID, f"{JOB_ID}.", f"{JOB_ID}..", f".{JOB_ID}", f"{JOB_ID}.0.model.tar.gz", f"{JOB_ID}.model.tar.gz"),
        *(UNITS[0], f"{UNITS[0]}.", f"{UNITS[0]}.log.txt", f"{UNITS[0]}.model.tar.gz.", f"{UNITS[1]}.model.tar.gz"),
    ],
)
def test_what_is_no_artifact_of_the_job_is_not_there(stores: Stores, wrong: str) -> None:
    shelve(stores, _0="model.tar.gz")
    stores.units.add_all((an_ended_unit(0, "model.tar.gz", id="another-job.00000", job_id="another-job"),))
    assert Artifacts(stores.units).get(JOB_ID, wrong) is None


@pytest.mark.parametrize("status", UnitStatus)
def test_what_a_unit_left_is_told_once_it_has_ended(stores: Stores, status: UnitStatus) -> None:
    told = status in {UnitStatus.COMPLETED, UnitStatus.FAILED, UnitStatus.REJECTED}
    stores.units.add_all((an_ended_unit(0, "log.txt", status=status),))
    artifacts = Artifacts(stores.units)
    assert len(artifacts.page(JOB_ID, limit=10, key=None).items) == told
    assert (artifacts.get(JOB_ID, artifact_id(UNITS[0], "log.txt")) is not None) == told


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (10, [3])])
def test_pages_run_by_unit_and_name(stores: Stores, limit: int, sizes: list[int]) -> None:
    shelve(stores, _1="z", _0="b a")
    pages = walked(Artifacts(stores.units), limit=limit)
    assert [len(page) for page in pages] == sizes
    assert [each for page in pages for each in page] == ["00000.a", "00000.b", "00001.z"]


@pytest.mark.parametrize("limit", range(1, 8))
@pytest.mark.parametrize("most_rows", [1, 2, 3, 50])
def test_wherever_pages_end_no_file_is_passed_over_or_told_twice(stores: Stores, limit: int, most_rows: int) -> None:
    names = [f"file-{index:02d}" for index in range(7)]
    shelve(stores, _0="", _1="b a", _2="", _3=" ".join(names), _4="a", _10="c", _11="")
    pages = walked(Artifacts(stores.units, most_rows=most_rows), limit=limit)
    assert all(len(page) <= limit for page in pages)
    assert [each for page in pages for each in page] == [
        *("00001.a", "00001.b"),
        *(f"00003.{name}" for name in names),
        *("00004.a", "00010.c"),
    ]


def test_a_page_may_be_empty_and_lead_on(stores: Stores) -> None:
    shelve(stores, **{f"_{index}": "" for index in range(9)}, _9="a")
    assert walked(Artifacts(stores.units, most_rows=4), limit=2) == [[], [], ["00009.a"]]


@pytest.mark.parametrize(("limit", "most_rows", "read"), [(2, 4, 4), (1, 12, 12), (3, 5, 5), (10, 12, 12)])
def test_a_page_reads_no_more_rows_than_it_may(stores: Stores, limit: int, most_rows: int, read: int) -> None:
    shelve(stores, **{f"_{index}": "" for index in range(13)})
    units = Counted(stores)
    page = Artifacts(units, most_rows=most_rows).page(JOB_ID, limit=limit, key=None)
    assert (page.items, units.rows) == ((), read)
    assert page.next_key == {"job_id": JOB_ID, "unit_id": a_unit(read - 1).id}


def test_a_page_that_is_full_reads_no_further(stores: Stores) -> None:
    shelve(stores, **{f"_{index}": "a b" for index in range(12)})
    units = Counted(stores)
    assert len(Artifacts(units).page(JOB_ID, limit=3, key=None).items) == 3
    assert units.rows == 3


def test_a_page_follows_units_that_end_behind_it(stores: Stores) -> None:
    shelve(stores, _0="a b")
    running = an_ended_unit(1, status=UnitStatus.RUNNING)
    stores.units.add_all((running,))
    artifacts = Artifacts(stores.units)
    first = artifacts.page(JOB_ID, limit=1, key=None)
    stores.units.replace(replace(running, status=UnitStatus.FAILED, outputs=(an_output("log.txt"),)))
    rest = artifacts.page(JOB_ID, limit=10, key=first.next_key)
    assert [artifact.name for artifact in (*first.items, *rest.items)] == ["a", "b", "log.txt"]


def test_a_job_without_units_has_an_empty_page(stores: Stores) -> None:
    assert Artifacts(stores.units).page("nobody", limit=10, key=None) == Page((), None)
