"""Any sequence of operations on what is no table: a queue of doorbells, and the bucket."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from gpupool.clock import FixedClock
from gpupool.dispatch.memory import MemoryQueue
from gpupool.dispatch.model import QueueUrls
from gpupool.dispatch.queue import Queue
from gpupool.dispatch.sqs import SqsQueue
from gpupool.objects.memory import MemoryObjectStore
from gpupool.objects.model import ObjectHead
from gpupool.objects.s3 import S3ObjectStore
from gpupool.objects.store import ObjectStore, to_base64
from gpupool.units.model import Pool
from gpupool.wire.joining import Doorbell
from gpupool.wire.units import Doorway
from gpupool.wire.vocabulary import CapabilityClass
from tests.contract.both import Cloud
from tests.contract.parity.alike import Player, Watched, fresh_prefix, operation


class Street:
    """A queue, and the doors that a machine has been led to by its bells. ``receive`` empties what is visible."""

    def __init__(self, queue: Any, url: str, receive: Callable[[], list[tuple[str, Doorway]]]) -> None:
        self.queue = queue
        self.url = url
        self._receive = receive
        # By bell: which of them comes first is no promise of a queue.
        self.doors: dict[str, Doorway] = {}

    def receive(self) -> list[str]:
        """The bells that ring."""
        found = self._receive()
        self.doors |= dict(found)
        return sorted(body for body, _ in found)


class Bells(Player):
    """The adapter's time is the emulation's own: what is hidden stays so for as long as a sequence takes."""

    ports = {"queue": Queue}

    def __init__(self, memory: Street, adapter: Street) -> None:
        super().__init__(memory, adapter)
        self.rung = 0
        # By bell: whether a machine has it and hides it, whether everybody sees it, or whether it is gone.
        self.visible: set[str] = set()
        self.hidden: list[str] = []
        self.gone: list[str] = []

    @classmethod
    def make(cls, cloud: Cloud) -> "Bells":
        client = cloud("sqs")
        url = client.create_queue(QueueName=f"{fresh_prefix()}bells", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
        urls = QueueUrls({"public-cpu": url})
        memory = MemoryQueue(urls=urls, clock=FixedClock(), visibility_seconds=600)

        def from_memory() -> list[tuple[str, Doorway]]:
            received = iter(lambda: memory.receive(url), None)
            return [(each.bell.unit_id, each.doorway) for each in received]

        def from_sqs() -> list[tuple[str, Doorway]]:
            answers = iter(lambda: client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []), [])
            return [
                (
                    Doorbell.model_validate_json(each["Body"]).unit_id,
                    Doorway(queue_url=url, receipt_handle=each["ReceiptHandle"]),
                )
                for messages in answers
                for each in messages
            ]

        watched = Watched(SqsQueue(client, urls), "queue", Queue, cls.answered)
        return cls(Street(memory, url, from_memory), Street(watched, url, from_sqs))

    def readable(self, side: Street) -> Any:
        return side.receive()

    @operation(often=3, group=st.sampled_from(["ada", "bob"]))
    def ring(self, group: str) -> None:
        self.rung += 1
        bell = Doorbell(job_id="job", unit_id=f"job.{self.rung:05d}", attempt=self.rung % 3)
        self.both(lambda side: side.queue.ring(side.url, bell, group=group))
        self.visible.add(bell.unit_id)

    @operation(often=2)
    def receive(self) -> None:
        assert set(self.both(lambda side: side.receive())) == self.visible
        self.hidden += sorted(self.visible)
        self.visible.clear()

    @operation(often=2, needs="hidden", which=st.integers(0, 9), seconds=st.sampled_from([0, 0, 600]))
    def hide(self, which: int, seconds: int) -> None:
        bell = self.hidden[which % len(self.hidden)]
        self.both(lambda side: side.queue.hide(side.doors[bell], seconds=seconds))
        if seconds == 0:
            self.hidden.remove(bell)
            self.visible.add(bell)

    @operation(needs="hidden", which=st.integers(0, 9))
    def silence(self, which: int) -> None:
        bell = self.hidden.pop(which % len(self.hidden))
        self.both(lambda side: side.queue.silence(side.doors[bell]))
        self.gone.append(bell)

    @operation(needs="gone", which=st.integers(0, 9), seconds=st.sampled_from([0, 600]))
    def touch_what_is_gone(self, which: int, seconds: int) -> None:
        bell = self.gone[which % len(self.gone)]
        self.both(lambda side: side.queue.silence(side.doors[bell]))
        self.both(lambda side: side.queue.hide(side.doors[bell], seconds=seconds))

    @operation(foreign=st.sampled_from(["https://evil.example/queue", ""]), silence=st.booleans())
    def touch_what_is_not_ours(self, foreign: str, silence: bool) -> None:
        door = Doorway(queue_url=foreign, receipt_handle="receipt")
        self.both(lambda side: side.queue.silence(door) if silence else side.queue.hide(door, seconds=0))

    @operation()
    def nonsense(self) -> None:
        self.both(lambda side: side.queue.hide(Doorway(queue_url=side.url, receipt_handle="nonsense"), seconds=0))

    @operation()
    def count(self) -> None:
        self.both(lambda side: side.queue.waiting(side.url))

    @operation()
    def find(self) -> None:
        self.both(lambda side: side.queue.queue_url(Pool.PUBLIC, CapabilityClass.CPU))


KEYS = ("a/1", "a/2", "a/\u00e9", "b/1")
# The least that the bucket takes for a part that another follows.
FULL = b"f" * (5 * 1024 * 1024)
bodies = st.one_of(st.binary(max_size=4), st.just(b"0123456789"))


class Shelf:
    """A bucket, how a client sends a part to it, and its own names of uploads and parts."""

    def __init__(self, objects: Any, send: Callable[[str, str, int, bytes], None]) -> None:
        self.objects = objects
        self.send = send
        self.uploads: list[str] = []


class Objects(Player):
    ports = {"objects": ObjectStore}

    def __init__(self, memory: Shelf, adapter: Shelf) -> None:
        super().__init__(memory, adapter)
        # The key of each upload in parts, and which of them were thrown away.
        self.begun: list[str] = []
        self.thrown: set[int] = set()

    @classmethod
    def make(cls, cloud: Cloud) -> "Objects":
        client, bucket = cloud("s3"), f"{fresh_prefix()}bucket"
        client.create_bucket(Bucket=bucket)
        memory = MemoryObjectStore()

        def to_memory(key: str, upload_id: str, number: int, body: bytes) -> None:
            terms = {"size_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "expires_seconds": 900}
            memory.upload(memory.presign_part(key, upload_id=upload_id, number=number, **terms), body)

        def to_s3(key: str, upload_id: str, number: int, body: bytes) -> None:
            checksum = to_base64(hashlib.sha256(body).hexdigest())
            of = {"Bucket": bucket, "Key": key, "UploadId": upload_id, "PartNumber": number}
            client.upload_part(**of, Body=body, ChecksumSHA256=checksum)

        watched = Watched(S3ObjectStore(client, bucket), "objects", ObjectStore, cls.answered)
        return cls(Shelf(memory, to_memory), Shelf(watched, to_s3))

    def readable(self, side: Shelf) -> Any:
        return side.objects.list("", limit=100)

    @operation(often=3, key=st.sampled_from(KEYS), body=bodies, kind=st.sampled_from(["text/csv", "application/json"]))
    def put(self, key: str, body: bytes, kind: str) -> None:
        self.both(lambda side: side.objects.put(key, body, content_type=kind))

    @operation(key=st.sampled_from(KEYS))
    def delete(self, key: str) -> None:
        self.both(lambda side: side.objects.delete(key))

    @operation(key=st.sampled_from(KEYS), prefix=st.sampled_from(["", "a", "a/", "a/1", "c"]), limit=st.integers(1, 4))
    def look(self, key: str, prefix: str, limit: int) -> None:
        self.both(lambda side: self.head(side, key))
        self.both(lambda side: side.objects.list(prefix, limit=limit))

    @operation(often=2, key=st.sampled_from(KEYS), start=st.integers(0, 11), length=st.integers(1, 12))
    def read(self, key: str, start: int, length: int) -> None:
        self.both(lambda side: side.objects.read_range(key, start=start, length=length))

    @operation(key=st.sampled_from(KEYS))
    def sign(self, key: str) -> None:
        """URLs are each side's own; the headers that they bind are not."""
        terms = {"size_bytes": 3, "sha256": "ab" * 32, "expires_seconds": 900}
        self.both(lambda side: side.objects.presign_put(key, content_type="text/csv", **terms).headers)
        self.both(lambda side: side.objects.presign_part(key, upload_id="u", number=1, **terms).headers)
        self.both(lambda side: bool(side.objects.presign_get(key, filename="a", expires_seconds=900)))

    @operation(key=st.sampled_from(KEYS))
    def begin_parts(self, key: str) -> None:
        for side in self.sides:
            side.uploads.append(side.objects.create_multipart(key, content_type="text/csv"))
        self.begun.append(key)

    @operation(often=2, needs="begun", back=st.integers(0, 1), number=st.integers(1, 2), body=bodies)
    def send_part(self, back: int, number: int, body: bytes) -> None:
        """A client's, and no operation of the port; to an upload that is over it would be refused."""
        at = -1 - back % len(self.begun)
        if self.parts(self.sides[0], back, after=0, limit=10) is None:
            return
        sent = FULL + body if number == 1 else body + b"."
        self.both(lambda side: side.send(self.begun[at], side.uploads[at], number, sent))

    @operation(needs="begun", back=st.integers(0, 1), after=st.integers(0, 1), limit=st.integers(1, 3))
    def list_parts(self, back: int, after: int, limit: int) -> None:
        """Behind a part that has arrived; moto counts parts instead of comparing numbers (README.md)."""
        arrived = dict(self.parts(self.sides[0], back, after=0, limit=10) or [])
        behind = after if after in arrived else 0
        self.both(lambda side: self.parts(side, back, after=behind, limit=limit))

    @operation(needs="begun", back=st.integers(0, 1), least=st.integers(0, 1))
    def end_parts(self, back: int, least: int) -> None:
        """With what has arrived, or with all but the first; with none, or once they are thrown away, the emulations differ
        from AWS (README.md)."""
        at = -1 - back % len(self.begun)
        key = self.begun[at]
        arrived = self.parts(self.sides[0], back, after=0, limit=10)
        if (arrived is not None and len(arrived) <= least) or len(self.begun) + at in self.thrown:
            return

        def complete(side: Shelf) -> None:
            parts = side.objects.list_parts(key, upload_id=side.uploads[at], after=0, limit=10)
            side.objects.complete_multipart(key, upload_id=side.uploads[at], parts=(parts or ())[least:])

        self.both(complete)
        self.both(lambda side: self.head(side, key))

    @operation(needs="begun", back=st.integers(0, 1))
    def abort_parts(self, back: int) -> None:
        at = -1 - back % len(self.begun)
        self.thrown.add(len(self.begun) + at)
        self.both(lambda side: side.objects.abort_multipart(self.begun[at], upload_id=side.uploads[at]))

    def head(self, side: Shelf, key: str) -> ObjectHead | None:
        """Without the digest where the twin has none to tell: of what came in parts emulations tell one (README.md)."""
        twin, found = self.sides[0].objects.head(key), side.objects.head(key)
        return replace(found, sha256="") if found is not None and twin is not None and not twin.sha256 else found

    def parts(self, side: Shelf, back: int, *, after: int, limit: int) -> list[tuple[int, int]] | None:
        """Without etags, which are each side's own, and digests, which emulations do not tell."""
        at = -1 - back % len(self.begun)
        found = side.objects.list_parts(self.begun[at], upload_id=side.uploads[at], after=after, limit=limit)
        return None if found is None else [(part.number, part.size_bytes) for part in found]
