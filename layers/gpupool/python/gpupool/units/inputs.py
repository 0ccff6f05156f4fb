"""Where the inputs of a unit lie, page by page, with URLs that work for ``URL_SECONDS``."""

from collections.abc import Collection, Iterator, Sequence

from gpupool.ids import unit_id as id_of
from gpupool.jobs.store import JobStore
from gpupool.objects.store import URL_SECONDS, ObjectStore
from gpupool.units.artifacts import artifacts_of
from gpupool.units.grant import Need, build_inputs
from gpupool.units.model import Unit
from gpupool.units.rows import key_before, present
from gpupool.units.store import UnitStore
from gpupool.wire.units import MOST_NAMED_NEEDS, InputsResponse
from gpupool.wire.vocabulary import UnitRole

# A need leaves four files as a rule, each with a URL of up to 2 KB: an answer stays below half a megabyte.
NEEDS_PER_PAGE = MOST_NAMED_NEEDS
# Without outputs a need takes 200 bytes.
BARE_NEEDS_PER_PAGE = 500


class Inputs:
    def __init__(self, *, units: UnitStore, jobs: JobStore, objects: ObjectStore) -> None:
        self._units = units
        self._jobs = jobs
        self._objects = objects

    def for_grant(self, unit: Unit, *, pages: bool) -> InputsResponse:
        """What a claim hands over. Select compares all its needs and reads one lane of them, so it gets no outputs until it
        has chosen; an agent that knows no ``pages`` gets them all at once.
        """
        return self.page(unit, outputs=not (pages and unit.work.role is UnitRole.SELECT))

    def page(self, unit: Unit, *, cursor: str | None = None, outputs: bool = True) -> InputsResponse:
        """Package, dataset and a page of the unit's needs, in their order; ``cursor`` is that of the page before."""
        start = int(cursor or 0)
        stop = start + (NEEDS_PER_PAGE if outputs else BARE_NEEDS_PER_PAGE)
        more = str(stop) if stop < len(unit.needs) else None
        return self._answer(unit, unit.needs[start:stop], outputs=outputs, more=more)

    def only(self, unit: Unit, unit_ids: Collection[str], *, outputs: bool = True) -> InputsResponse:
        """Package, dataset and the needs among ``unit_ids``; what is no need of the unit is left out."""
        named = frozenset(unit_ids)
        wanted = tuple(index for index in unit.needs if id_of(unit.job_id, index) in named)
        return self._answer(unit, wanted, outputs=outputs, more=None)

    def _answer(self, unit: Unit, indexes: Sequence[int], *, outputs: bool, more: str | None) -> InputsResponse:
        job = present(self._jobs.get(unit.job_id))
        rows = (row for first, last in _stretches(indexes) for row in self._rows(unit.job_id, first, last))
        needs = tuple(Need(row, artifacts_of(row) if outputs else ()) for row in rows)
        return build_inputs(job, needs, self._download_url, objective=unit.work.objective, more=more)

    def _rows(self, job_id: str, first: int, last: int) -> Iterator[Unit]:
        """The units of one stretch, with as few reads as their size allows."""
        if first == last:
            yield present(self._units.get(id_of(job_id, first)))
            return
        key = key_before(id_of(job_id, first))
        while first <= last:
            page = self._units.page(job_id, limit=last - first + 1, key=key)
            yield from page.items
            first += len(page.items)
            key = page.next_key
            if key is None and first <= last:
                raise LookupError(f"the units from {first} to {last} of job {job_id} are missing")

    def _download_url(self, key: str, filename: str) -> str:
        return self._objects.presign_get(key, filename=filename, expires_seconds=URL_SECONDS)


def _stretches(indexes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each stretch of indexes that follow each other."""
    first = 0
    for at, index in enumerate(indexes):
        if at + 1 == len(indexes) or indexes[at + 1] != index + 1:
            yield indexes[first], index
            first = at + 1
