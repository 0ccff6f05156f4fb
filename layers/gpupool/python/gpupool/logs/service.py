"""Logs as a job's owner reads them, while the unit runs and for a month afterwards."""

from gpupool.errors import NotFound
from gpupool.ids import job_of
from gpupool.jobs.model import Job
from gpupool.jobs.service import Jobs
from gpupool.logs.decide import (
    backward,
    can_grow,
    chunks_of,
    end_of_characters,
    forward,
    latest_started,
    missing_of,
    size_of,
    start_of_character,
    start_of_lines,
)
from gpupool.logs.model import MAX_CHUNKS, Chunk, From, LogPage, Slice, Tail
from gpupool.objects.store import ObjectStore
from gpupool.units.model import Unit
from gpupool.units.signing import log_folder
from gpupool.units.store import UnitStore


class Logs:
    """One listing and at most MAX_READS reads per page; never more than a page is in memory."""

    def __init__(self, *, jobs: Jobs, units: UnitStore, objects: ObjectStore) -> None:
        self._jobs = jobs
        self._units = units
        self._objects = objects

    def read(self, customer_id: str, job_id: str, *, unit_id: str | None, attempt: int | None, part: From | Tail) -> LogPage:
        """A page of one attempt; the latest attempt of the unit that started last unless they are named.

        JOB_NOT_FOUND, UNIT_NOT_FOUND. What was not printed yet is an empty text.
        """
        job = self._jobs.get(customer_id, job_id)
        unit = self._unit(job, unit_id)
        if unit is None:
            return LogPage(job.id, None, 0, 0, 0, 0, not job.is_live, (), "")
        number = unit.attempt if attempt is None else attempt
        # The row first: what its last attempt uploaded before it ended is in the listing.
        chunks = chunks_of(self._objects.list(log_folder(unit, number), limit=MAX_CHUNKS))
        ended = not can_grow(unit, number)
        size = size_of(chunks)
        offset, data = self._tail(chunks, part, size) if isinstance(part, Tail) else self._from(chunks, part, size)
        if not (ended and offset + len(data) == size):
            # Its rest may come with the next page, or with the next chunk.
            data = data[: end_of_characters(data)]
        return LogPage(
            job_id=job.id,
            unit_id=unit.id,
            attempt=number,
            offset=offset,
            next_offset=offset + len(data),
            size_bytes=size,
            ended=ended,
            missing=missing_of(chunks),
            text=data.decode(errors="replace"),
        )

    def _unit(self, job: Job, unit_id: str | None) -> Unit | None:
        if unit_id is None:
            return latest_started(self._units.all_of(job.id))
        unit = self._units.get(unit_id) if job_of(unit_id) == job.id else None
        if unit is None:
            raise NotFound("The job has no unit with this id; list its compute units.", code="UNIT_NOT_FOUND")
        return unit

    def _from(self, chunks: tuple[Chunk, ...], part: From, size: int) -> tuple[int, bytes]:
        slices = forward(chunks, offset=part.offset, limit=part.limit_bytes)
        return min(part.offset, size), b"".join(map(self._read, slices))

    def _tail(self, chunks: tuple[Chunk, ...], part: Tail, size: int) -> tuple[int, bytes]:
        data, start = b"", None
        for each in backward(chunks, limit=part.limit_bytes):
            data = self._read(each) + data
            start = start_of_lines(data, part.lines)
            if start is not None:
                break
        if start is None:
            start = start_of_character(data) if len(data) < size else 0
        return size - len(data) + start, data[start:]

    def _read(self, part: Slice) -> bytes:
        return self._objects.read_range(part.key, start=part.start, length=part.length)
