"""Log chunks and pages of them. Offsets count the bytes of the chunks that are there, in the order of their numbers."""

from dataclasses import dataclass

# One page of text, and the chunks that may be read for it: an answer stays small, and so does the time it takes.
DEFAULT_BYTES = 65_536
MAX_BYTES = 262_144
MAX_LINES = 1_000
MAX_READS = 32
# An attempt ships a chunk with every heartbeat: some 100 in eight hours, 15,000 on a laptop. What is beyond is not seen.
MAX_CHUNKS = 10_000
MAX_MISSING = 100


@dataclass(frozen=True, slots=True)
class Chunk:
    """One stored piece of an attempt's log."""

    seq: int
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes to read: ``length`` of the object ``key``, from ``start``."""

    key: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class From:
    """A page from a byte offset on."""

    offset: int = 0
    limit_bytes: int = DEFAULT_BYTES


@dataclass(frozen=True, slots=True)
class Tail:
    """The last lines; fewer when they do not fit into ``limit_bytes`` or lie in too many chunks."""

    lines: int
    limit_bytes: int = MAX_BYTES


@dataclass(frozen=True, slots=True)
class LogPage:
    """Text between ``offset`` and ``next_offset``. ``unit_id`` is None while no unit of the job has started.

    ``ended``: the attempt cannot grow any more. ``missing``: numbers of chunks that are not there, the first of them at most.
    """

    job_id: str
    unit_id: str | None
    attempt: int
    offset: int
    next_offset: int
    size_bytes: int
    ended: bool
    missing: tuple[int, ...]
    text: str
