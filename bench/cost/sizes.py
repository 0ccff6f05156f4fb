"""How large DynamoDB takes an item to be, and how many units that is: AWS's published rules.

Sizes are in bytes: names and values, as in "DynamoDB item sizes and formats"; the 100 bytes that each item costs in storage do
not count towards requests.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Item = Mapping[str, Mapping[str, Any]]

_CONTAINER_BYTES = 3
_ELEMENT_BYTES = 1
_WRITE_BYTES = 1024
_READ_BYTES = 4096


def item_bytes(item: Item | None) -> int:
    """An item's size; an absent item has none."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in (item or {}).items())


def value_bytes(value: Mapping[str, Any]) -> int:
    """One attribute value, given as its type and content, without its name."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_bytes(content)
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(value_bytes({kind[0]: element}) for element in content)
        case "L":
            return _CONTAINER_BYTES + sum(_ELEMENT_BYTES + value_bytes(element) for element in content)
        case "M":
            inner = sum(_ELEMENT_BYTES + len(name.encode()) + value_bytes(element) for name, element in content.items())
            return _CONTAINER_BYTES + inner
    raise ValueError(f"unknown attribute type {kind}")


def write_units(size_bytes: int) -> int:
    """Units of one standard write; a write of nothing, such as a delete of what is not there, is one unit."""
    return max(1, math.ceil(size_bytes / _WRITE_BYTES))


def read_units(size_bytes: int, *, consistent: bool) -> float:
    """Units of one read; finding nothing costs as much as the smallest item."""
    whole = max(1, math.ceil(size_bytes / _READ_BYTES))
    return whole if consistent else whole / 2


def _number_bytes(text: str) -> int:
    """A byte per two significant digits and one more; zeros at both ends are not significant, a sign is one byte."""
    number = Decimal(text)
    digits = "".join(str(digit) for digit in number.as_tuple().digits).strip("0")
    return 1 + math.ceil(len(digits) / 2) + (1 if number < 0 else 0)
