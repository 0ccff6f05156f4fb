"""A remote archive's directory is read without its content."""

import io
import random
import zipfile

import pytest

from gpupool.objects.ranged import RangedFile
from gpupool.uploads.packages import MAX_BYTES_READ, read_package
from tests.support.packages import TRAIN, a_package

BODY = random.Random(7).randbytes(300_000)


def a_file(body: bytes = BODY, *, limit: int = 1_000_000) -> tuple[RangedFile, list[int]]:
    fetched: list[int] = []

    def fetch(start: int, length: int) -> bytes:
        fetched.append(length)
        return body[start : start + length]

    return RangedFile(fetch, size=len(body), limit=limit), fetched


@pytest.mark.parametrize(("offset", "size"), [(0, 10), (65_530, 20), (0, 300_000), (299_990, 100), (400_000, 5), (5, 0)])
def test_it_reads_as_the_bytes_would(offset: int, size: int) -> None:
    file, _ = a_file()
    file.seek(offset)
    assert file.read(size) == BODY[offset : offset + size]
    assert file.tell() == min(offset + size, max(offset, len(BODY)))


def test_it_seeks_from_everywhere() -> None:
    file, _ = a_file()
    assert file.seek(-10, io.SEEK_END) == 299_990
    assert file.seek(5, io.SEEK_CUR) == 299_995
    assert file.read() == BODY[-5:]
    with pytest.raises(OSError, match="before the start"):
        file.seek(-1)


def test_a_block_is_fetched_once() -> None:
    file, fetched = a_file()
    for offset in (0, 100, 60_000):
        file.seek(offset)
        file.read(50)
    assert fetched == [65_536]


def test_no_more_than_the_limit_is_fetched() -> None:
    file, fetched = a_file(limit=100_000)
    with pytest.raises(OSError, match="limit"):
        file.read()
    file.read(65_536)
    with pytest.raises(OSError, match="allowed"):
        file.read(65_536)
    assert sum(fetched) <= 100_000


def test_an_object_that_turns_out_shorter_is_an_error() -> None:
    file = RangedFile(lambda start, length: b"", size=100, limit=1_000)
    with pytest.raises(OSError, match="shorter"):
        file.read(10)


def test_a_large_package_is_judged_by_a_fraction_of_its_bytes() -> None:
    noise = random.Random(3).randbytes(10_000_000)
    body = a_package(("weights.bin", noise), ("train.py", TRAIN), method=zipfile.ZIP_STORED)
    file, fetched = a_file(body, limit=MAX_BYTES_READ)
    assert read_package(file).entry == "train.py"
    assert sum(fetched) < 200_000
