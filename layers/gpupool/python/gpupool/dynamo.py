"""What every DynamoDB adapter shares: rows to items and back, and AWS errors turned into ours at the border."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from gpupool.errors import AlreadyExists, StaleWrite
from gpupool.pages import Key, Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Numbers nearer to zero than this are refused by the table; as zero they are what a reader needs to know.
_SMALLEST = 1e-130

Row = dict[str, Any]
Item = dict[str, Any]
T = TypeVar("T")


def to_item(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as DynamoDB attribute values; None and empty sets are left out."""
    return {name: _attribute(value) for name, value in row.items() if value is not None and value != set()}


def from_item(item: Mapping[str, Any]) -> Row:
    """An item as plain Python values; numbers become int or float."""
    return {name: _plain(attribute) for name, attribute in item.items()}


def value(plain: Any) -> Any:
    """One attribute value."""
    return to_item({"v": plain})["v"]


def query_page(
    client: "DynamoDBClient", query: Mapping[str, Any], *, limit: int, read: Callable[[Any], T], key_of: Callable[[T], Key]
) -> Page[T]:
    """One page of a query. One row more is asked for, because DynamoDB names a next key even when nothing follows."""
    answer = client.query(**query, Limit=limit + 1)
    rows = tuple(read(item) for item in answer["Items"])
    # A page also ends early when it reaches the size that one answer may have.
    more = len(rows) > limit or "LastEvaluatedKey" in answer
    rows = rows[:limit]
    return Page(rows, key_of(rows[-1]) if more and rows else None)


def start_after(key: Key | None) -> dict[str, Any]:
    """The part of a query that continues behind ``key``."""
    return {"ExclusiveStartKey": to_item(key)} if key else {}


def read_together(client: "DynamoDBClient", places: Mapping[str, tuple[str, Item]]) -> dict[str, Item]:
    """Items of at most 100 places (table and key) by name, each read consistently.

    One call, and more only for what DynamoDB left over.
    """
    asked: Any = {}
    for table, key in places.values():
        asked.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
    rows: dict[str, list[Item]] = {table: [] for table in asked}
    while asked:
        answer = client.batch_get_item(RequestItems=asked)
        for table, items in answer["Responses"].items():
            rows[table] += items
        asked = answer.get("UnprocessedKeys")
    return {
        name: item
        for name, (table, key) in places.items()
        for item in rows[table]
        if all(item[attribute] == value for attribute, value in key.items())
    }


def _attribute(value: Any) -> dict[str, Any]:
    """One value with its type. By hand, because boto3's own serializer takes five times as long, and every call needs it."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": _digits(value)}
    if isinstance(value, dict):
        return {"M": {name: _attribute(inner) for name, inner in value.items() if inner is not None}}
    if isinstance(value, list | tuple):
        return {"L": [_attribute(inner) for inner in value]}
    if isinstance(value, set | frozenset):
        return {"SS": list(value)}
    raise TypeError(f"no attribute holds a {type(value).__name__}")


def _digits(number: float) -> str:
    """A number as text, from which the same number is read again."""
    if not math.isfinite(number):
        raise TypeError(f"no attribute holds {number}")
    return "0" if abs(number) < _SMALLEST else repr(number)


def _plain(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    read = _READERS.get(kind)
    return read(value) if read else value


def _number(digits: str) -> int | float:
    """Whole numbers are int, also those that were written as 1.0: a table cannot tell them apart."""
    if digits.isdigit():
        return int(digits)
    number = Decimal(digits)
    return int(number) if number == number.to_integral_value() else float(number)


# How to read what does not stand there as it is.
_READERS: dict[str, Callable[[Any], Any]] = {
    "N": _number,
    "M": from_item,
    "L": lambda values: [_plain(each) for each in values],
    "SS": set,
    "NULL": lambda _: None,
}


def error_code(error: Exception) -> str:
    """The AWS error code of a botocore ClientError, else an empty text."""
    response = getattr(error, "response", None)
    return str(response["Error"]["Code"]) if isinstance(response, dict) and "Error" in response else ""


def cancellation_codes(error: Exception) -> list[str]:
    """Per statement of a cancelled transaction: why it was refused, ``None`` for those that were fine."""
    reasons = getattr(error, "response", {}).get("CancellationReasons", [])
    return [str(reason.get("Code", "None")) for reason in reasons]


def update_if(client: "DynamoDBClient", **update: Any) -> dict[str, Any] | None:
    """The whole item after a conditional update; None when its condition failed and nothing was written."""
    try:
        with stale_on_condition():
            return client.update_item(**update, ReturnValues="ALL_NEW")["Attributes"]
    except StaleWrite:
        return None


@contextmanager
def stale_on_condition() -> Iterator[None]:
    """A failed condition means that the row changed since it was read."""
    with _translated(StaleWrite):
        yield


@contextmanager
def exists_on_condition() -> Iterator[None]:
    """A failed condition means that the key is taken."""
    with _translated(AlreadyExists):
        yield


@contextmanager
def _translated(meaning: type[Exception]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if error_code(error) == "ConditionalCheckFailedException":
            raise meaning from error
        raise
