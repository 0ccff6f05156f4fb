"""CSV that every reader takes back as it was, and no spreadsheet takes for a program."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.ledger.model import debit, grant
from gpupool.usage import csv as usage_csv
from tests.support.postings import NOW

HEADER = ["date", "time", "job_id", "unit_id", "unit_name", "credits"]


def exported(*names: str) -> bytes:
    return usage_csv.export(
        debit(customer_id="ada", job_id="j", unit_id=f"j.{at}", amount=at + 1, at=NOW, note=name)
        for at, name in enumerate(names)
    )


def read(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))


def test_rows_are_as_rfc_4180_has_them() -> None:
    assert exported("train", 'a "b", c\nd') == (
        b"date,time,job_id,unit_id,unit_name,credits\r\n"
        b"2026-03-15,12:00:00,j,j.0,train,1\r\n"
        b'2026-03-15,12:00:00,j,j.1,"a ""b"", c\nd",2\r\n'
    )


def test_nothing_used_is_a_header() -> None:
    assert read(exported()) == [HEADER]


def test_only_completed_units_are_rows() -> None:
    assert read(usage_csv.export([grant(customer_id="ada", grant_id="g", amount=5, at=NOW)])) == [HEADER]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_starts_like_a_formula_gets_an_apostrophe(start: str) -> None:
    assert read(exported(f"{start}cmd|' /C calc'!A0"))[1][4] == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize("name", ["", "train_001", "1-1", " =1", "'quoted", "数据", "\U0001f600"])
def test_other_text_stays_as_it_is(name: str) -> None:
    assert read(exported(name))[1][4] == name


# Read universally, a lone CR in quotes is kept; NUL ends what C libraries read, and names have none.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)


@given(st.lists(texts, max_size=5))
def test_any_names_are_read_back_and_none_starts_a_formula(names: list[str]) -> None:
    header, *rows = read(exported(*names))
    assert header == HEADER
    assert [row[4].removeprefix("'") if row[4] != name else row[4] for row, name in zip(rows, names, strict=True)] == names
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for row in rows for cell in row)
    assert [int(row[5]) for row in rows] == list(range(1, len(names) + 1))


def test_a_lone_surrogate_does_not_stop_the_file() -> None:
    assert read(exported("a\ud800b"))[1][4] == "a?b"
