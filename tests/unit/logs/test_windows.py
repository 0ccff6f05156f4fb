"""Pages of logs: nothing is lost, nothing comes twice, and no character is split."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool import bootstrap
from gpupool.clock import FixedClock
from gpupool.logs.decide import can_grow, chunks_of, end_of_characters, latest_started, missing_of, start_of_lines
from gpupool.logs.model import MAX_MISSING, MAX_READS, Chunk, From, LogPage, Tail
from gpupool.objects.model import StoredObject
from gpupool.twins import MemoryPorts
from gpupool.units.model import Unit, UnitStatus
from tests.factories import CUSTOMER_ID, NOW, a_job, a_lease, a_unit

UNIT = a_unit(status=UnitStatus.RUNNING, attempt=1, started_at=NOW, lease=a_lease())
TEXT = "naïve café — 数据训练 🚀🎉\nÉpoque 1\n"


class Reader:
    """One running unit's log, as its customer reads it."""

    def __init__(self, *chunks: bytes, ended: bool = False) -> None:
        self.ports = MemoryPorts(clock=FixedClock())
        self.ports.world.jobs[UNIT.job_id] = a_job()
        unit = replace(UNIT, status=UnitStatus.COMPLETED, lease=None) if ended else UNIT
        self.ports.units.add_all((unit,))
        self.logs = bootstrap.build_customer_core(self.ports).logs
        for seq, chunk in enumerate(chunks):
            self.put(seq, chunk)

    def put(self, seq: int, chunk: bytes) -> None:
        self.ports.objects.put(f"logs/{UNIT.job_id}/{UNIT.id}/1/{seq:06d}.txt", chunk)

    def read(self, part: From | Tail) -> LogPage:
        return self.logs.read(CUSTOMER_ID, UNIT.job_id, unit_id=None, attempt=None, part=part)

    def pages(self, limit: int) -> list[LogPage]:
        """From the start until a page stands still."""
        pages = [self.read(From(0, limit))]
        while pages[-1].next_offset > pages[-1].offset:
            pages.append(self.read(From(pages[-1].next_offset, limit)))
        return pages


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` in pieces, none of them empty."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(
    data=st.text(max_size=60).map(lambda text: text.encode(errors="replace")) | st.binary(max_size=60),
    places=st.lists(st.integers(0, 60), max_size=8),
    limit=st.integers(4, 20),
)
def test_the_pages_of_a_log_are_its_text(data: bytes, places: list[int], limit: int) -> None:
    pages = Reader(*cut(data, places), ended=True).pages(limit)

    assert "".join(page.text for page in pages) == data.decode(errors="replace")
    assert pages[-1].next_offset == pages[-1].size_bytes == len(data)
    assert all(page.next_offset - page.offset <= limit for page in pages)


@given(text=st.text(min_size=1, max_size=40), end=st.integers(0, 160), limit=st.integers(4, 20))
def test_while_a_log_grows_half_a_character_waits_for_its_rest(text: str, end: int, limit: int) -> None:
    data = text.encode(errors="replace")
    end %= len(data) + 1
    reader = Reader(*([data[:end]] if end else []))
    before = reader.pages(limit)

    assert "\ufffd" not in "".join(page.text for page in before) or "\ufffd" in text
    if data[end:]:
        reader.put(1, data[end:])
    after = reader.read(From(before[-1].next_offset, 1_000))
    assert "".join(page.text for page in before) + after.text == data.decode()


@pytest.mark.parametrize(
    ("lines", "text", "offset"),
    [(1, "four\n", 19), (2, "drei—\nfour\n", 10), (3, "two\ndrei—\nfour\n", 6), (4, "one—\ntwo\ndrei—\nfour\n", 0)],
)
def test_a_tail_crosses_chunks_and_begins_at_a_line(lines: int, text: str, offset: int) -> None:
    data = "one—\ntwo\ndrei—\nfour\n".encode()
    for size in range(1, len(data) + 1):
        reader = Reader(*(data[at : at + size] for at in range(0, len(data), size)))
        page = reader.read(Tail(lines))
        assert page.text == text
        assert page.next_offset == page.size_bytes == len(data) == page.offset + len(text.encode())


def test_a_tail_reads_only_the_chunks_it_needs() -> None:
    reader = Reader(*([b"x" * 999 + b"\n"] * 20))
    before = reader.ports.objects.bytes_read

    page = reader.read(Tail(2))

    assert page.text.count("\n") == 2
    assert reader.ports.objects.bytes_read - before == 3_000


def test_a_tail_of_more_lines_than_fit_begins_at_a_character() -> None:
    page = Reader("数据".encode() * 100).read(Tail(5, limit_bytes=10))

    assert page.text == "据数据"
    assert (page.offset, page.next_offset) == (591, 600)


def test_an_unfinished_last_line_is_a_line() -> None:
    assert Reader(b"one\ntwo").read(Tail(1)).text == "two"
    assert Reader(b"one\n\n").read(Tail(1)).text == "\n"


def test_many_small_chunks_make_short_pages() -> None:
    reader = Reader(*[b"a line\n"] * (3 * MAX_READS))

    first, second = reader.read(From()), reader.read(From(7 * MAX_READS))

    assert first.text == second.text == "a line\n" * MAX_READS
    assert reader.read(Tail(1_000)).text == "a line\n" * MAX_READS


def test_an_offset_beyond_the_end_is_the_end() -> None:
    page = Reader(TEXT.encode()).read(From(10_000))

    assert (page.text, page.offset, page.next_offset) == ("", len(TEXT.encode()), len(TEXT.encode()))


def test_gaps_are_named_and_read_over() -> None:
    reader = Reader()
    for seq in (1, 2, 5):
        reader.put(seq, f"{seq}\n".encode())

    page = reader.read(From())

    assert (page.text, page.missing, page.size_bytes) == ("1\n2\n5\n", (0, 3, 4), 6)


def test_a_chunk_with_an_absurd_number_does_not_make_an_absurd_answer() -> None:
    assert missing_of((Chunk(999_999, "k", 1),)) == tuple(range(MAX_MISSING))
    assert len(missing_of((Chunk(60, "k", 1), Chunk(500, "k", 1), Chunk(999, "k", 1)))) == MAX_MISSING


def test_what_is_not_a_chunk_is_not_read() -> None:
    names = ["a/000001.txt", "a/000000.txt", "a/1.txt", "a/000002.bin", "a/000003.txt.part"]

    assert [chunk.seq for chunk in chunks_of(StoredObject(name, 1) for name in names)] == [0, 1]


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", 0),
        (b"abc", 3),
        ("é".encode(), 2),
        ("é".encode()[:1], 0),
        ("a🚀".encode()[:4], 1),
        (b"a\x80\x80\x80\x80", 5),
        (b"\xff", 1),
    ],
)
def test_only_a_begun_character_is_left_for_later(data: bytes, whole: int) -> None:
    assert end_of_characters(data) == whole


def test_the_start_of_lines_needs_the_break_before_them() -> None:
    assert start_of_lines(b"two\nthree\n", 1) == 4
    assert start_of_lines(b"two\nthree\n", 2) is None
    assert start_of_lines(b"", 1) is None


@pytest.mark.parametrize(
    ("unit", "attempt", "grows"),
    [
        (UNIT, 1, True),
        (replace(UNIT, attempt=2), 1, False),
        (replace(UNIT, status=UnitStatus.QUEUED, lease=None), 1, False),
        (replace(UNIT, status=UnitStatus.QUEUED, lease=None), 2, True),
        (a_unit(), 0, True),
        (replace(UNIT, status=UnitStatus.FAILED, lease=None), 1, False),
        (replace(UNIT, status=UnitStatus.CANCELLED, attempt=0), 0, False),
    ],
)
def test_an_attempt_grows_while_it_runs_or_is_to_come(unit: Unit, attempt: int, grows: bool) -> None:
    assert can_grow(unit, attempt) is grows


def test_the_unit_that_started_last_is_meant() -> None:
    units = (a_unit(0), a_unit(1, started_at=NOW), a_unit(2, started_at=NOW), a_unit(3))

    assert latest_started(units) == units[2]
    assert latest_started(units[:1]) is None
