"""What AWS bills, and for how much: the one place with prices.

AWS's public on-demand list prices of us-east-1 in US dollars; without free tiers, volume discounts and taxes. Where a service
has tiers, the first one counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

AS_OF = "2026-08-21"
REGION = "us-east-1"
_MILLION = 1_000_000


class Item(StrEnum):
    """One line of the bill. Lambda's durations are GB-s, everything else is a count."""

    API_REQUEST = "HTTP API requests"
    LAMBDA_REQUEST = "Lambda requests"
    LAMBDA_GB_SECOND = "Lambda GB-s"
    DYNAMODB_WRITE = "DynamoDB write units"
    DYNAMODB_READ = "DynamoDB read units"
    SQS_REQUEST = "SQS requests"
    STATE_TRANSITION = "Step Functions transitions"
    ACTION = "workflow service actions"
    S3_PUT = "S3 PUT, LIST"
    S3_GET = "S3 GET, HEAD"


PER_MILLION: Mapping[Item, float] = {
    Item.API_REQUEST: 1.00,  # HTTP API, first 300 million a month, 512 KB each
    Item.LAMBDA_REQUEST: 0.20,
    Item.LAMBDA_GB_SECOND: 13.3334,  # arm64
    # On demand. What Lambda reads of a table's stream for its functions is free, and nothing else of ours reads streams.
    Item.DYNAMODB_WRITE: 0.625,
    Item.DYNAMODB_READ: 0.125,
    Item.SQS_REQUEST: 0.40,  # standard queue, 64 KB each
    Item.STATE_TRANSITION: 25.00,  # Standard workflows; a retry is a transition
    # Temporal Cloud's lowest listed tier, above 100 million actions a month; the first five million cost 50 each.
    Item.ACTION: 25.00,
    Item.S3_PUT: 5.00,  # Standard; also COPY and POST
    Item.S3_GET: 0.40,
}

# What artifacts cost follows from what a customer's script writes, so it stands apart.
STORE = frozenset({Item.S3_PUT, Item.S3_GET})


@dataclass(frozen=True)
class Usage:
    """How much was used of each item. Adds, and multiplies by a number."""

    counts: Mapping[Item, float] = field(default_factory=dict)

    @classmethod
    def of(cls, item: Item, count: float = 1) -> "Usage":
        return cls({item: count})

    @classmethod
    def total(cls, usages: Iterable["Usage"]) -> "Usage":
        found: dict[Item, float] = {}
        for usage in usages:
            for item, count in usage.counts.items():
                found[item] = found.get(item, 0) + count
        return cls(found)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage.total((self, other))

    def __sub__(self, other: "Usage") -> "Usage":
        return self + other * -1

    def __mul__(self, factor: float) -> "Usage":
        return Usage({item: count * factor for item, count in self.counts.items()})

    def __getitem__(self, item: Item) -> float:
        return self.counts.get(item, 0)

    @property
    def control_plane(self) -> "Usage":
        """Without the store."""
        return Usage({item: count for item, count in self.counts.items() if item not in STORE})

    @property
    def store(self) -> "Usage":
        return Usage({item: count for item, count in self.counts.items() if item in STORE})

    def dollars(self, *items: Item) -> float:
        """What was used costs, of all items or of the named ones."""
        return sum(self[item] * PER_MILLION[item] for item in (items or self.counts)) / _MILLION
