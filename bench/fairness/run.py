"""``python -m bench.fairness.run``: what a flood of units costs everybody else, by how the queue orders its messages."""

import argparse
import statistics
from dataclasses import asdict, dataclass
from typing import Any

from bench.fairness.plot import draw_waits
from bench.fairness.scenarios import ALONE, CROWDS, WAYS, Crowd, Size, Way, percentile, waits
from local.layout import DEFAULT_LAYOUT

TARGET_RATIO = 1.5


@dataclass(frozen=True)
class Row:
    """One way in one crowd: medians over the seeds, and the ratio of the 99th percentiles with its lowest and highest."""

    crowd: str
    way: str
    seeds: int
    median_seconds: float
    p99_seconds: float
    ratio: float
    lowest: float
    highest: float


def run(*, seeds: int = 3, noisy: int = 10_000) -> dict[str, Any]:
    """Every seed plays every way and is compared with itself without the flood."""
    size = Size(noisy=noisy)
    rows, panels = [], {}
    print(
        f"noisy neighbour  {size.small} customers with {size.units} units each, alone and beside one with {noisy:,}; "
        f"{size.nodes} machines, units of 8 to 12 minutes, {seeds} seeds (target: p99 <= {TARGET_RATIO} x alone)"
    )
    for crowd in CROWDS:
        alone = [waits(seed, crowd, size, ALONE, noisy=False) for seed in range(seeds)]
        panels[crowd.name] = {ALONE.name: alone[0]}
        rows.append(_row(crowd, ALONE, alone, alone))
        for way in WAYS:
            beside = [waits(seed, crowd, size, way, noisy=True) for seed in range(seeds)]
            panels[crowd.name][way.name] = beside[0]
            rows.append(_row(crowd, way, beside, alone))
        for row in rows[-len(WAYS) - 1 :]:
            _print(row)
    path = DEFAULT_LAYOUT.home / "fairness.png"
    draw_waits(path, panels, title=f"Waiting beside {noisy:,} units of one customer ({size.nodes} machines)")
    print(f"picture          {path}")
    return {"size": asdict(size), "target_ratio": TARGET_RATIO, "rows": [asdict(row) for row in rows]}


def _row(crowd: Crowd, way: Way, waited: list[list[float]], alone: list[list[float]]) -> Row:
    ratios = [percentile(mine, 0.99) / percentile(base, 0.99) for mine, base in zip(waited, alone, strict=True)]
    return Row(
        crowd=crowd.name,
        way=way.name,
        seeds=len(waited),
        median_seconds=statistics.median(percentile(mine, 0.5) for mine in waited),
        p99_seconds=statistics.median(percentile(mine, 0.99) for mine in waited),
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
    )


def _print(row: Row) -> None:
    print(
        f"  {row.crowd:<17} {row.way:<46} median {row.median_seconds:>9,.0f} s   p99 {row.p99_seconds:>9,.0f} s   "
        f"p99 ratio {row.ratio:>8,.2f} [{row.lowest:,.2f}, {row.highest:,.2f}]"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--noisy", type=int, default=100_000, help="units of the one customer")
    asked = parser.parse_args()
    run(seeds=asked.seeds, noisy=asked.noisy)
