"""A unit's output on this host's disk: sent in numbered chunks while it runs, its end kept for reports."""

import contextlib
import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 256_000


@dataclass(frozen=True)
class LogChunk:
    """Chunks of one attempt, in the order of ``seq`` (from 0), are the log without a gap."""

    seq: int
    content: bytes
    sha256: str


class UnitLog:
    """Appends up to ``limit_bytes``; memory stays constant because chunks are read back from the file. Thread-safe."""

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self.path = path
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._file = path.open("wb", buffering=0)
        self._size = 0
        self._sent = 0
        self._next_seq = 0
        self._waiting: LogChunk | None = None

    @property
    def size(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """Keep ``data`` as far as the limit and the disk allow; the sandbox ends a unit that goes on after its limit."""
        with self._lock:
            kept = data[: max(0, self._limit - self._size)]
            if kept and not self._file.closed:
                with contextlib.suppress(OSError):  # a full disk costs the log's end, not the unit's output reader
                    self._size += self._file.write(kept)

    def chunk(self) -> LogChunk | None:
        """The chunk that waits, the same bytes until it is acknowledged; None when everything was sent."""
        with self._lock:
            if self._waiting is None and self._size > self._sent and not self._file.closed:
                self._waiting = self._cut()
            return self._waiting

    def _cut(self) -> LogChunk:
        with self.path.open("rb") as source:
            source.seek(self._sent)
            content = _whole_lines(source.read(CHUNK_BYTES))
        return LogChunk(seq=self._next_seq, content=content, sha256=hashlib.sha256(content).hexdigest())

    def acknowledge(self, chunk: LogChunk) -> None:
        """``chunk`` is stored elsewhere; a late second acknowledgement changes nothing."""
        with self._lock:
            if chunk.seq == self._next_seq:
                self._sent += len(chunk.content)
                self._next_seq += 1
                self._waiting = None

    def tail(self, *, most_characters: int) -> str:
        """The end of the log as text."""
        with self._lock, self.path.open("rb") as source:
            start = max(0, self._size - 4 * most_characters)
            source.seek(start)
            text = source.read().decode("utf-8", errors="replace").replace("\x00", "")
        return text[-most_characters:]

    def close(self) -> None:
        """The folder is about to go; no chunk is read from now on."""
        with self._lock:
            self._file.close()
            self._waiting = None


def _whole_lines(content: bytes) -> bytes:
    """A full chunk ends at a line's end when it holds one, so that nobody sees half a character."""
    end = content.rfind(b"\n") + 1
    return content[:end] if len(content) == CHUNK_BYTES and end else content
