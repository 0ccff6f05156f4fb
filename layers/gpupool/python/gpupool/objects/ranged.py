"""A remote object as a seekable file, so that ``zipfile`` can read a directory without the bytes before it."""

import io
from collections.abc import Callable
from typing import Any

_BLOCK = 64 * 1024


class RangedFile(io.RawIOBase):
    """Reads ``fetch(start, length)`` in blocks and keeps them; ``limit`` bounds the bytes ever fetched.

    Going over the limit raises OSError: an archive that needs so many small pieces read is not worth reading.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], *, size: int, limit: int) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._left = limit
        self._position = 0
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("seek before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        number, inside = divmod(self._position, _BLOCK)
        if self._position >= self._size or not len(view):
            return 0
        part = self._block(number)[inside : inside + len(view)]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * _BLOCK
            length = min(_BLOCK, self._size - start)
            if length > self._left:
                raise OSError("the archive's directory is larger than is read")
            self._left -= length
            self._blocks[number] = self._fetch(start, length)
        return self._blocks[number]
