"""The table: dollars per million units, ours beside three other designs, and where our money goes."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bench.cost.meter import Charge
from bench.cost.prices import AS_OF, PER_MILLION, REGION, STORE, Item, Usage
from bench.cost.references import REFERENCES

_MILLION = 1_000_000
CONTROL_PLANE_TARGET, HEARTBEATS_TARGET = 5.0, 10.0


@dataclass(frozen=True)
class Column:
    """One design: a unit without heartbeats, and what is said during its ten minutes."""

    name: str
    unit: Usage
    beating: Usage
    ours: bool = True

    @property
    def control_plane(self) -> float:
        """Dollars per million units, without heartbeats and the store."""
        return self.unit.control_plane.dollars() * _MILLION

    @property
    def heartbeats(self) -> float:
        return self.beating.dollars() * _MILLION

    @property
    def store(self) -> float:
        return self.unit.store.dollars() * _MILLION

    def line(self, item: Item) -> float:
        return self.unit.dollars(item) * _MILLION


def references(*, heartbeats: int) -> list[Column]:
    """The other designs, with as many heartbeats as ours."""
    return [Column(each.name, each.unit, each.heartbeat * heartbeats, ours=False) for each in REFERENCES]


def print_table(columns: list[Column]) -> None:
    """Rows are the items; a design that does not count the store says so."""
    print(f"\ndollars per million units of ten minutes; list prices of {REGION}, {AS_OF}")
    width = max(len(column.name) for column in columns) + 2
    print(" " * 26 + "".join(f"{column.name:>{width}}" for column in columns))
    for item in (each for each in PER_MILLION if each not in STORE):
        print(f"{item:26}" + "".join(f"{column.line(item):>{width}.2f}" for column in columns))
    rows = (("= control plane", "control_plane"), ("heartbeats and keys", "heartbeats"))
    for title, name in rows:
        print(f"{title:26}" + "".join(f"{getattr(column, name):>{width}.2f}" for column in columns))
    print(
        f"{'+ S3':26}"
        + "".join(f"{column.store if column.ours else '-':>{width}{'.2f' if column.ours else ''}}" for column in columns)
    )
    for each in REFERENCES:
        print(f"  {each.name}: {each.how}.")


def print_where(title: str, charges: Iterable[Charge], *, units: int, most: int = 40) -> None:
    """What each handler's each operation costs, the dearest first."""
    found: dict[tuple[str, str], list[Usage]] = defaultdict(list)
    for charge in charges:
        found[charge.source, charge.what].append(charge.usage)
    rows = [(source, what, len(usages), Usage.total(usages)) for (source, what), usages in found.items()]
    rows.sort(key=lambda row: (-row[3].dollars(), row[0], row[1]))
    print(f"\nwhere the money goes, {title}: dollars per million units, times per unit")
    for source, what, times, usage in rows[:most]:
        print(f"{usage.dollars() / units * _MILLION:9.3f}  {source:58} {what:42} x{times / units:.2f}")
