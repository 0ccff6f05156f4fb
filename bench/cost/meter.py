"""The meter: every call of the AWS clients and every invocation, classified into what AWS bills."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.cost.durations import gb_seconds
from bench.cost.dynamodb import Billed, DynamoBill
from bench.cost.prices import Item, Usage
from bench.cost.tables import Tables
from bench.watcher import Call, Watcher

_SQS_BYTES = 64 * 1024
_STORE_READS = frozenset({"GetObject", "HeadObject", "SelectObjectContent"})
_STORE_FREE = frozenset({"DeleteObject", "DeleteObjects", "AbortMultipartUpload"})
# Transitions are billed, not these requests; nor are credentials. A secret is read once per environment, not per request.
_FREE = frozenset({"stepfunctions", "sts", "secretsmanager"})


@dataclass(frozen=True)
class Charge:
    """Something billed: who did it, what it was."""

    source: str
    what: str
    usage: Usage


class Meter(Watcher):
    """``memory_mb`` is each function's, by room. Calls are charged to whoever ``during`` or ``invocation`` names."""

    def __init__(self, tables: Tables, *, memory_mb: dict[str, int]) -> None:
        self.charges: list[Charge] = []
        self._dynamo = DynamoBill(tables)
        self._memory_mb = memory_mb
        self._source = "outside"
        self._calls: list[Call] = []

    @contextmanager
    def during(self, source: str) -> Iterator[None]:
        """Charges the calls inside to ``source``."""
        before, self._source = self._source, source
        try:
            yield
        finally:
            self._source = before

    @contextmanager
    def invocation(self, room: str, what: str = "", *, records: int = 1) -> Iterator[None]:
        """One invocation of a function, with the calls it makes; ``what`` tells its requests apart."""
        outer, self._calls = self._calls, []
        with self.during(f"{room} {what}".strip()):
            try:
                yield
            finally:
                ran = gb_seconds(room, memory_mb=self._memory_mb[room], calls=self._calls, records=records)
                self.charge("Lambda", Usage.of(Item.LAMBDA_REQUEST) + Usage.of(Item.LAMBDA_GB_SECOND, ran))
                self._calls = outer

    def charge(self, what: str, usage: Usage) -> None:
        """Something that is no call of a client."""
        self.charges.append(Charge(self._source, what, usage))

    def total(self) -> Usage:
        return Usage.total(charge.usage for charge in self.charges)

    def before(self, call: Call) -> None:
        if call.service == "dynamodb":
            self._dynamo.note(call)

    def after(self, call: Call, answer: dict[str, Any]) -> None:
        self._calls.append(call)
        for what, usage in self._billed(call, answer):
            self.charge(what, usage)

    def _billed(self, call: Call, answer: dict[str, Any]) -> Billed:
        match call.service:
            case "dynamodb":
                return self._dynamo.of(call, answer)
            case "sqs":
                return [(f"SQS {call.operation}", Usage.of(Item.SQS_REQUEST, _sqs_requests(call)))]
            case "s3":
                return [(f"S3 {call.operation}", _stored(call))]
            case service if service in _FREE:
                return []
        raise LookupError(f"the meter knows no price of {call.service}.{call.operation}")


def _sqs_requests(call: Call) -> int:
    """A request with up to ten messages is one for each started 64 KB."""
    bodies = [call.params, *call.params.get("Entries", [])]
    size = sum(len(str(each.get("MessageBody", "")).encode()) for each in bodies)
    size += sum(len(json.dumps(each["MessageAttributes"])) for each in bodies if "MessageAttributes" in each)
    return max(1, math.ceil(size / _SQS_BYTES))


def _stored(call: Call) -> Usage:
    if call.operation in _STORE_FREE:
        return Usage()
    return Usage.of(Item.S3_GET if call.operation in _STORE_READS else Item.S3_PUT)
