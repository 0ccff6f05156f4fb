"""How many units a DynamoDB request is billed, from the items before and after it: AWS's published rules.

The emulators always answer one unit, so nothing they say is used. Where the rules leave something open, the dearer reading
counts: in a transaction the writes of secondary indexes are doubled too, and a refused one costs as much as it would have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cost.sizes import Item, item_bytes, read_units, write_units

TRANSACTIONAL = 2


@dataclass(frozen=True)
class Index:
    """A secondary index, local or global: its key, and which attributes it holds (None: all)."""

    key: tuple[str, ...]
    attributes: frozenset[str] | None

    def entry(self, item: Item | None) -> dict[str, Mapping[str, Any]] | None:
        """What the index holds of an item; nothing when the item lacks a part of the key."""
        if item is None or any(part not in item for part in self.key):
            return None
        return {name: value for name, value in item.items() if self.attributes is None or name in self.attributes}


def written(before: Item | None, after: Item | None, indexes: tuple[Index, ...] = ()) -> int:
    """Units of a write that went through: the larger of the item before and after, and what changed in each index."""
    table = write_units(max(item_bytes(before), item_bytes(after)))
    return table + sum(_index_written(index, before, after) for index in indexes)


def refused(before: Item | None, wanted: Item | None) -> int:
    """Units of a write whose condition failed: as if it had been done, without the indexes, which it never reached."""
    return write_units(max(item_bytes(before), item_bytes(wanted)))


def read_alone(item: Item | None, *, consistent: bool) -> float:
    """Units of an item read by key, also within a batch."""
    return read_units(item_bytes(item), consistent=consistent)


def read_together(items: Sequence[Item], *, consistent: bool) -> float:
    """Units of one page of a query: sizes are added up before they are rounded."""
    return read_units(sum(item_bytes(item) for item in items), consistent=consistent)


def _index_written(index: Index, before: Item | None, after: Item | None) -> int:
    """A new, changed or removed entry is one write; one whose key changes is removed and added again."""
    old, new = index.entry(before), index.entry(after)
    if old == new:
        return 0
    if old is not None and new is not None and any(old[part] != new[part] for part in index.key):
        return write_units(item_bytes(old)) + write_units(item_bytes(new))
    return write_units(max(item_bytes(old), item_bytes(new)))
