"""What wakes functions with batches: table streams and queues, as event source mappings deliver them."""

import json
from collections import deque
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

from moto.backends import get_backend

from tests.cloud.functions import Functions, Result
from tests.cloud.template import ACCOUNT, REGION, Mapping

Record = dict[str, Any]


@dataclass(eq=False)
class Delivery:
    """A batch that is ready to go to its function."""

    source: "Source"
    lane: str
    records: list[Record]
    trigger: str

    @property
    def room(self) -> str:
        return self.source.mapping.room

    @property
    def event(self) -> dict[str, Any]:
        return {"Records": self.records}


class Source(Protocol):
    mapping: Mapping

    def ready(self) -> list[Delivery]:
        """What can be delivered now, at most one batch per lane. Looking takes nothing away."""

    def deliver(self, delivery: Delivery, functions: Functions) -> Result:
        """Hands a batch over; whatever fails comes again."""


@dataclass(eq=False)
class Pending:
    """A stream record on its way, and how often it has been tried."""

    record: Record
    tries: int = 0


class StreamSource:
    """A table's stream: in order per partition, at least once, through the mapping's filters."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.undelivered: list[Record] = []
        self._lanes: dict[str, deque[Pending]] = {}
        self._number = 0
        self._size: dict[str, int] = {}

    def ready(self) -> list[Delivery]:
        self._drain()
        return [self._batch(lane) for lane, waiting in self._lanes.items() if waiting]

    def deliver(self, delivery: Delivery, functions: Functions) -> Result:
        result = functions.invoke(self.mapping.room, delivery.event, trigger=delivery.trigger)
        lane = self._lanes[delivery.lane]
        done = self._done(delivery, result)
        for _ in range(done):
            lane.popleft()
        if done == len(delivery.records):
            self._size.pop(delivery.lane, None)
            return result
        if result.failed and self.mapping.bisects:
            self._size[delivery.lane] = max(1, len(delivery.records) // 2)
        lane[0].tries += 1
        if 0 <= self.mapping.retries < lane[0].tries:
            self.undelivered.append(lane.popleft().record)
        return result

    def lose(self) -> None:
        """Gives up what waits, as a mapping does after its last retry."""
        self._drain()
        self.undelivered += [pending.record for lane in self._lanes.values() for pending in lane]
        self._lanes.clear()

    def _done(self, delivery: Delivery, result: Result) -> int:
        """How many records of the batch need not come again: those ahead of the first that failed."""
        if result.failed:
            return 0
        failures = (result.value or {}).get("batchItemFailures", []) if self.mapping.reports_failures else []
        failed = {each["itemIdentifier"] for each in failures}
        numbers = [record["dynamodb"]["SequenceNumber"] for record in delivery.records]
        return next((at for at, number in enumerate(numbers) if number in failed), len(numbers))

    def _batch(self, lane: str) -> Delivery:
        size = min(self.mapping.batch_size, self._size.get(lane, self.mapping.batch_size))
        records = [pending.record for pending in list(self._lanes[lane])[:size]]
        return Delivery(self, lane, records, f"{self.mapping.source}: {_described(records)}")

    def _drain(self) -> None:
        """Takes over what moto has noted. A write that changed nothing makes no record, and a filtered one ends here."""
        table: Any = get_backend("dynamodb")[ACCOUNT][REGION].tables[self.mapping.source]
        noted, table.stream_shard.items = table.stream_shard.items, []
        for each in noted:
            record = self._as_delivered(each.to_json(), table)
            change = record["dynamodb"]
            if change.get("OldImage") == change.get("NewImage"):
                continue
            if not self.mapping.filters or any(pattern.matches(record) for pattern in self.mapping.filters):
                partition = json.dumps(change["Keys"][table.hash_key_attr])
                self._lanes.setdefault(partition, deque()).append(Pending(record))

    def _as_delivered(self, noted: Record, table: Any) -> Record:
        self._number += 1
        made = noted["dynamodb"] | {"SequenceNumber": f"{self._number:021d}", "ApproximateCreationDateTime": 1767225600}
        arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table.name}/stream/latest"
        return json.loads(json.dumps(noted | {"dynamodb": made, "eventSourceARN": arn}))  # type: ignore[no-any-return]


class QueueSource:
    """A queue that a function reads: a batch that was not answered for is seen again when its visibility is over."""

    def __init__(self, mapping: Mapping, *, sqs: Any, url: str) -> None:
        self.mapping = mapping
        self._sqs = sqs
        self._url = url

    def ready(self) -> list[Delivery]:
        if not any(message.visible and not message.delayed for message in self._messages()):
            return []
        return [Delivery(self, "", [], f"queue {self.mapping.source.removesuffix('-dlq')}")]

    def deliver(self, delivery: Delivery, functions: Functions) -> Result:
        records = delivery.records or self._receive()
        if not records:
            return Result()
        delivery.records = records
        result = functions.invoke(self.mapping.room, delivery.event, trigger=f"{delivery.trigger} x{len(records)}")
        failures = [] if result.failed else (result.value or {}).get("batchItemFailures", [])
        failed = {each["itemIdentifier"] for each in failures}
        for record in records:
            if not result.failed and record["messageId"] not in failed:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=record["receiptHandle"])
        return result

    def next_at(self) -> float | None:
        """When a hidden message is seen again, in seconds of the epoch."""
        times = [max(message.visible_at, message.delayed_until) / 1000 for message in self._messages()]
        return min(times) if times else None

    def _messages(self) -> list[Any]:
        return list(get_backend("sqs")[ACCOUNT][REGION].queues[self.mapping.source]._messages)

    def _receive(self) -> list[Record]:
        answer = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=self.mapping.batch_size, MessageSystemAttributeNames=["All"]
        )
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.mapping.source}"
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": REGION,
            }
            for message in answer.get("Messages", [])
        ]


@dataclass
class Sources:
    """All of them, by what they read."""

    streams: list[StreamSource] = field(default_factory=list)
    queues: list[QueueSource] = field(default_factory=list)

    def ready(self) -> list[Delivery]:
        every: list[StreamSource | QueueSource] = [*self.streams, *self.queues]
        return [delivery for source in every for delivery in source.ready()]


def _described(records: list[Record]) -> str:
    """What a batch says, in words; how many records in a row say the same matters only up to two."""
    runs = [(said, len(list(same))) for said, same in groupby(map(describe, records))]
    return " + ".join(said if count == 1 else f"several {said}" for said, count in runs)


def describe(record: Record) -> str:
    """What a stream record says, in words: the state before and after."""
    change = record["dynamodb"]
    before, after = (_state(change.get(image)) for image in ("OldImage", "NewImage"))
    return f"{before} -> {after}" if before else f"new {after}"


def _state(image: dict[str, Any] | None) -> str:
    if image is None:
        return ""
    found = image.get("status") or image.get("type") or {"S": "row"}
    return str(found.get("S", "row"))
