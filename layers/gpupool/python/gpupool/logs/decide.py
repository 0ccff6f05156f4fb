"""Which bytes of which chunks make a page, and where a page may end without splitting a character."""

import re
from collections.abc import Iterable, Sequence

from gpupool.logs.model import MAX_MISSING, MAX_READS, Chunk, Slice
from gpupool.objects.model import StoredObject
from gpupool.units.model import Unit, UnitStatus

_NUMBER = re.compile(r"/([0-9]{6})\.txt$")


def chunks_of(objects: Iterable[StoredObject]) -> tuple[Chunk, ...]:
    """The chunks among the objects of an attempt's folder, by number."""
    found = [
        Chunk(int(number[1]), each.key, each.size_bytes) for each in objects if (number := _NUMBER.search(each.key)) is not None
    ]
    return tuple(sorted(found, key=lambda chunk: chunk.seq))


def size_of(chunks: Iterable[Chunk]) -> int:
    return sum(chunk.size_bytes for chunk in chunks)


def missing_of(chunks: Sequence[Chunk]) -> tuple[int, ...]:
    """The numbers below the last chunk's that have no chunk, the first hundred of them."""
    missing: list[int] = []
    expected = 0
    for chunk in chunks:
        missing += range(expected, min(chunk.seq, expected + MAX_MISSING - len(missing)))
        expected = chunk.seq + 1
    return tuple(missing)


def forward(chunks: Iterable[Chunk], *, offset: int, limit: int) -> tuple[Slice, ...]:
    """At most ``limit`` bytes from ``offset`` on, of at most MAX_READS chunks."""
    slices: list[Slice] = []
    start = 0
    for chunk in chunks:
        skipped = max(0, offset - start)
        start += chunk.size_bytes
        if skipped >= chunk.size_bytes:
            continue
        if limit <= 0 or len(slices) == MAX_READS:
            break
        length = min(chunk.size_bytes - skipped, limit)
        slices.append(Slice(chunk.key, skipped, length))
        limit -= length
    return tuple(slices)


def backward(chunks: Sequence[Chunk], *, limit: int) -> tuple[Slice, ...]:
    """The last ``limit`` bytes, the last slice first, of at most MAX_READS chunks."""
    slices: list[Slice] = []
    for chunk in reversed(chunks):
        if limit <= 0 or len(slices) == MAX_READS:
            break
        if chunk.size_bytes:
            length = min(chunk.size_bytes, limit)
            slices.append(Slice(chunk.key, chunk.size_bytes - length, length))
            limit -= length
    return tuple(slices)


def start_of_lines(data: bytes, lines: int) -> int | None:
    """Where the last ``lines`` lines begin; None when a line break before them is not in ``data``."""
    at = len(data) - data.endswith(b"\n")
    for _ in range(lines):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return None
    return at + 1


def start_of_character(data: bytes) -> int:
    """How many bytes at the start belong to a character that began before."""
    at = 0
    while at < min(3, len(data)) and data[at] & 0xC0 == 0x80:
        at += 1
    return at


def end_of_characters(data: bytes) -> int:
    """The length of ``data`` without a character that is only begun at its end."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            return len(data) - back if _length_after(byte) > back else len(data)
    return len(data)


def can_grow(unit: Unit, attempt: int) -> bool:
    """Whether that attempt of the unit may still print something."""
    if unit.is_final or attempt < unit.attempt:
        return False
    return attempt > unit.attempt or attempt == 0 or unit.status is UnitStatus.RUNNING


def latest_started(units: Iterable[Unit]) -> Unit | None:
    """The unit that was started last; None before the first start."""
    started = [(unit.started_at, unit.index, unit) for unit in units if unit.started_at is not None]
    return max(started)[2] if started else None


def _length_after(first: int) -> int:
    """How many bytes the UTF-8 character has that begins with ``first``; 1 for what begins none."""
    if 0xC2 <= first <= 0xDF:
        return 2
    if 0xE0 <= first <= 0xEF:
        return 3
    return 4 if 0xF0 <= first <= 0xF4 else 1
