"""Metrics out of what scripts print, and what an entry's end means."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.wire.failures import FailureCode
from node_agent.inside import failure, metrics
from node_agent.inside.child import Ended
from node_agent.inside.metrics import LineCollector, last_values, parse_line, read_lines, write_lines
from node_agent.inside.verdict import failure_of


@pytest.mark.parametrize("line", [b'{"loss": 0.5}', b' {"loss": 1, "note": "x"} \r', b'{"a": null, "b": -3e-5}'])
def test_lines_that_are_metrics(line: bytes) -> None:
    assert parse_line(line) == json.loads(line)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"loss: 0.5", b"[1]", b"{}", b'{"a": "1"}', b'{"a": true}', b'{"a": NaN}', b'{"a": Infinity}', b"{'a': 1}"),
        *(b'{"a":' * 2000 + b"1" + b"}" * 2000, b'{"a": ' + b"9" * 5000 + b"}", b'{"a": "\xff"}', b'{"a": 1} x'),
    ],
)
def test_lines_that_are_not(line: bytes) -> None:
    assert parse_line(line) is None


def test_the_last_finite_value_counts() -> None:
    records: list[dict[str, object]] = [{"loss": 2, "acc": 0.1}, {"loss": 1.5, "flag": True}, {"loss": float("nan")}]
    assert last_values(records) == {"acc": 0.1, "loss": 1.5}


def test_of_too_many_names_the_newest_are_kept() -> None:
    records: list[dict[str, object]] = [{f"old{number}": 1} for number in range(60)] + [{"loss": 1}]
    kept = last_values(records)
    assert len(kept) == metrics.MAX_NAMES
    assert "loss" in kept


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_cutting_the_stream_anywhere_finds_the_same_lines(chunks: list[bytes]) -> None:
    text = b'{"a": 1}\nplain\n' + b"".join(chunks) + b'\n{"b": 2}'
    whole, pieces = LineCollector(), LineCollector()
    whole.feed(text)
    whole.close()
    for index in range(len(text)):
        pieces.feed(text[index : index + 1])
    pieces.close()
    assert whole.records == pieces.records
    assert whole.records[0] == {"a": 1}
    assert whole.records[-1] == {"b": 2}


def test_an_endless_line_costs_no_memory_and_hides_no_later_one() -> None:
    collector = LineCollector()
    for _ in range(100):
        collector.feed(b"{" * 65_536)
        assert len(collector._partial) <= metrics.MAX_LINE_BYTES
    collector.feed(b'}\n{"loss": 1}\n')
    assert collector.records == [{"loss": 1}]


def test_metrics_files_keep_plain_values_and_stay_json(tmp_path: Path) -> None:
    write_lines(tmp_path / "m", [{"loss": 1.5, "bad": float("inf"), "name": "x", "nested": {"a": float("nan")}}])
    assert json.loads((tmp_path / "m").read_text()) == {"loss": 1.5, "bad": None, "name": "x"}
    assert len(read_lines(tmp_path / "m")) == 1


def test_a_link_is_no_metrics_file(tmp_path: Path) -> None:
    (tmp_path / "m").write_text('{"loss": 1}\n')
    (tmp_path / "link").symlink_to(tmp_path / "m")
    assert read_lines(tmp_path / "link") == []
    assert read_lines(tmp_path / "missing") == []


@pytest.mark.parametrize(
    ("exit_code", "tail", "code"),
    [
        (1, b"Traceback\nValueError: x\n", failure.SCRIPT_FAILED),
        (1, b"Traceback\nMemoryError\n", failure.OUT_OF_MEMORY),
        (1, b"numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1 TiB\n", failure.OUT_OF_MEMORY),
        (1, b"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate\n", failure.OUT_OF_MEMORY),
        (137, b"", failure.OUT_OF_MEMORY),
        (1, b"OSError: [Errno 28] No space left on device\n", failure.DISK_FULL),
        (153, b"", failure.DISK_FULL),
        (1, b"RuntimeError: can't start new thread\n", failure.PROCESS_LIMIT_EXCEEDED),
        (1, b"MemoryError was handled\n" + b"line\n" * 10, failure.SCRIPT_FAILED),
        (139, b"", failure.SCRIPT_FAILED),
    ],
)
def test_how_an_end_is_read(exit_code: int, tail: bytes, code: str) -> None:
    found = failure_of(Ended(exit_code, tail))
    assert found is not None
    assert (found.code, found.exit_code) == (code, exit_code)


def test_a_good_end_is_no_failure() -> None:
    assert failure_of(Ended(0, b"MemoryError\n")) is None


def test_the_programs_words_are_the_platforms() -> None:
    assert {code.value for code in FailureCode} > failure.CODES
