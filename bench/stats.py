"""Medians, spreads and ratios."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """Repeated measurements of one thing, in milliseconds."""

    name: str
    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, name: str, values: list[float]) -> "Sample":
        """Median, 10th and 90th percentile."""
        tenths = statistics.quantiles(values, n=10)
        return cls(name, statistics.median(values), tenths[0], tenths[-1], len(values))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def paired_ratio(ours: list[float], baseline: list[float]) -> tuple[float, float, float]:
    """Median, 10th and 90th percentile of the ratios of neighbours in time: what slows the machine slows both."""
    ratios = [mine / theirs for mine, theirs in zip(ours, baseline, strict=True)]
    tenths = statistics.quantiles(ratios, n=10)
    return statistics.median(ratios), tenths[0], tenths[-1]
