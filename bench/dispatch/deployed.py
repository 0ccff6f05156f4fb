"""The real services over AWS clients and an emulator that reacts to nothing, and what AWS would do between them."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from bench.dispatch.calls import Bare, Recorder
from bench.dispatch.executions import StateMachine
from bench.dispatch.node import Node
from bench.dispatch.packages import generous
from bench.simulate.filters import passes
from gpupool import aws, bootstrap
from gpupool.ids import job_of
from gpupool.ports import AwsPorts
from gpupool.streams import job_change, unit_change
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import Doorway
from gpupool.workflow.memory import MemoryExecutions

T = TypeVar("T")
Image = dict[str, Any]


class DeployedPlane:
    """``seconds`` is the time inside the services and ``recorder`` holds the calls that they made.

    Machines, streams and the state machine are not the services' business: what they call goes through ``bare``, not timed.
    """

    def __init__(self, named: dict[str, str]) -> None:
        self.bare = Bare()
        url = self.bare.clients["sqs"].create_queue(QueueName="public-cpu")["QueueUrl"]
        self.ports = AwsPorts(generous({"public-cpu": url}, **named, node_role_arn="nobody-assumes-it"))
        asked = MemoryExecutions()
        self.ports.executions = asked
        self.customer = bootstrap.build_customer_core(self.ports)
        self._machine = StateMachine(asked, bootstrap.build_workflow(self.ports))
        self._node = Node(self.ports, put=self.put)
        self._outbox = bootstrap.build_outbox(self.ports)
        self._queue_url = url
        self._images: dict[str, Image] = {}
        self._bells: dict[str, Doorway] = {}
        self.uploaded: dict[str, bytes] = {}
        self.seconds = 0.0
        self.recorder = Recorder()
        for client in (aws.dynamodb(), aws.s3(), aws.sqs()):
            self.recorder.watch(client)

    def settle(self, job_id: str) -> None:
        """Delivers what was written about the job and steps its execution until both wait for a machine."""
        while True:
            records = self._records(job_id)
            for kind, record in records:
                self._deliver(kind, record)
            execution = None if records else self._machine.next_step()
            if execution is not None:
                self._timed(partial(self._machine.step, execution))
            elif not records:
                return

    def work(self, unit_id: str, doorway: Doorway) -> None:
        """One lifecycle: a machine answers the bell and completes the unit, and all follows from that."""
        held = self._timed(lambda: self._node.claim(unit_id, doorway))
        self.settle(held.job_id)
        self._timed(lambda: self._node.heartbeat(held))
        self._node.upload(held)
        self._timed(lambda: self._node.complete(held))
        self.settle(held.job_id)

    def bells(self, job_id: str) -> dict[str, Doorway]:
        """The way of every bell of the job that rings and was not taken, by unit."""
        while True:
            answer = self.bare.clients["sqs"].receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", ()):
                unit_id = Doorbell.model_validate_json(message["Body"]).unit_id
                self._bells[unit_id] = Doorway(queue_url=self._queue_url, receipt_handle=message["ReceiptHandle"])
            if "Messages" not in answer:
                return {unit_id: doorway for unit_id, doorway in self._bells.items() if job_of(unit_id) == job_id}

    def take_bell(self, unit_id: str) -> Doorway:
        return self._bells.pop(unit_id)

    def _timed(self, act: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = act()
        self.seconds += time.perf_counter() - start
        return result

    def _deliver(self, kind: str, record: Image) -> None:
        """What the stream functions do with a record: they read both images and act."""
        if kind == "jobs" and passes(*job_change(record)):
            self._timed(lambda: self._outbox.job_written(*job_change(record)))
        elif kind == "units" and passes(*unit_change(record)):
            self._timed(lambda: self._outbox.unit_written(*unit_change(record)))

    def _records(self, job_id: str) -> list[tuple[str, Image]]:
        """Stream records of what differs from the images seen last; no service writes a row twice in between."""
        records = []
        for kind, key, image in self._rows(job_id):
            seen = self._images.get(key)
            if seen != image:
                self._images[key] = image
                before = {"OldImage": seen} if seen is not None else {}
                records.append((kind, {"dynamodb": {"NewImage": image, **before}}))
        return records

    def _rows(self, job_id: str) -> list[tuple[str, str, Image]]:
        client = self.bare.clients["dynamodb"]
        key = {"job_id": {"S": job_id}}
        units = client.query(
            TableName="units", KeyConditionExpression="job_id = :job", ExpressionAttributeValues={":job": key["job_id"]}
        )
        found = [("units", item["unit_id"]["S"], item) for item in units["Items"]]
        return [("jobs", job_id, client.get_item(TableName="jobs", Key=key)["Item"]), *found]

    def put(self, key: str, body: bytes) -> None:
        self.uploaded[key] = body
        self.bare.clients["s3"].put_object(Bucket=self.ports.settings.bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256")
