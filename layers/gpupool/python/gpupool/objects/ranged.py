"""A remote object as a seekable file, so that ``zipfile`` can read a directory without the bytes before it."""

import io
from collections.abc import Callable

_BLOCK = 64 * 1024


class RangedFile(io.RawIOBase):
    """Reads ``fetch(start, length)`` in blocks and keeps them; ``limit`` bounds the bytes ever fetched.

    Going over the limit raises OSError: an archive of which so much must be read to know its content is not worth reading.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], *, size: int, limit: int) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._limit = limit
        self._fetched = 0
        self._position = 0
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("seek before the start")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Exactly ``size`` bytes unless the object ends; zipfile takes a short read for a broken archive."""
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > self._limit:
            raise OSError("a read larger than the whole limit")
        parts = []
        while wanted:
            number, inside = divmod(self._position, _BLOCK)
            part = self._block(number)[inside : inside + wanted]
            if not part:
                raise OSError("the object is shorter than it was said to be")
            parts.append(part)
            wanted -= len(part)
            self._position += len(part)
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * _BLOCK
            length = min(_BLOCK, self._size - start)
            if self._fetched + length > self._limit:
                raise OSError("more of the object would be read than is allowed")
            self._fetched += length
            self._blocks[number] = self._fetch(start, length)
        return self._blocks[number]
