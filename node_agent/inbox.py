"""Where doorbells come from: one long poll at a time on one queue, over SQS or from a script."""

import logging
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import TypeAdapter, ValidationError

from gpupool.wire.base import UnitId
from gpupool.wire.joining import CredentialsResponse, Doorbell, QueueGrant
from gpupool.wire.units import Doorway
from node_agent.agent_log import log_event
from node_agent.credentials import CredentialKeeper
from node_agent.errors import RecoverableError

if TYPE_CHECKING:
    from botocore.client import BaseClient

logger = logging.getLogger(__name__)
_UNIT_ID: TypeAdapter[str] = TypeAdapter(UnitId)
_MARGIN_SECONDS = 10  # an answer to a full-length poll may take this much longer to arrive

# Answers that mean the keys are the problem. AccessDenied: the grant may have changed since they were made.
_BAD_KEYS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


@dataclass(frozen=True)
class Ring:
    """A unit may wait, and the message that says so."""

    doorbell: Doorbell
    doorway: Doorway


class Inbox(Protocol):
    def receive(self, grant: QueueGrant) -> Ring | None:
        """The next doorbell, or None when the poll ended without one. Raises ``RecoverableError``."""
        ...


def read_ring(*, queue_url: str, receipt_handle: str, body: str) -> Ring | None:
    """None for a message that is no doorbell: it stays hidden for a while and ends in the dead-letter queue."""
    try:
        doorbell = Doorbell.model_validate_json(body)
        _UNIT_ID.validate_python(doorbell.unit_id)
        return Ring(doorbell=doorbell, doorway=Doorway(queue_url=queue_url, receipt_handle=receipt_handle))
    except ValidationError:
        log_event(logger, "message.unreadable", level=logging.WARNING, queue=queue_url, size=len(body))
        return None


class SqsInbox:
    """Long polls SQS. ``AWS_ENDPOINT_URL_SQS`` or ``AWS_ENDPOINT_URL`` point it elsewhere, as with every AWS client."""

    def __init__(self, keeper: CredentialKeeper, *, poll_seconds: int) -> None:
        self._keeper = keeper
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._client: BaseClient | None = None
        self._generation = -1
        self._session: Any = None

    def receive(self, grant: QueueGrant) -> Ring | None:
        from botocore.exceptions import BotoCoreError, ClientError

        access = self._keeper.current()
        client = self._client_for(access.grant, generation=access.generation)
        try:
            answer = client.receive_message(QueueUrl=grant.url, MaxNumberOfMessages=1, WaitTimeSeconds=self._poll_seconds)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _BAD_KEYS:
                self._keeper.refuse(access.generation)
            raise RecoverableError(f"receive refused: {code}") from error
        except BotoCoreError as error:
            raise RecoverableError(f"receive failed ({type(error).__name__})") from error
        for message in answer.get("Messages", []):
            return read_ring(queue_url=grant.url, receipt_handle=message["ReceiptHandle"], body=message["Body"])
        return None

    def _client_for(self, grant: CredentialsResponse, *, generation: int) -> Any:
        with self._lock:
            if self._client is None or generation > self._generation:
                self._client = self._new_client(grant)
                self._generation = generation
            return self._client

    def _new_client(self, grant: CredentialsResponse) -> Any:
        import botocore.session
        from botocore.config import Config

        if self._session is None:
            self._session = botocore.session.Session()
            # The owner's own AWS profile is none of our business, and a missing one would be an error.
            self._session.set_config_variable("profile", None)
        return self._session.create_client(
            "sqs",
            region_name=grant.region,
            aws_access_key_id=grant.access_key_id,
            aws_secret_access_key=grant.secret_access_key,
            aws_session_token=grant.session_token,
            config=Config(
                connect_timeout=5,
                read_timeout=self._poll_seconds + _MARGIN_SECONDS,
                retries={"total_max_attempts": 1},  # the poller waits and tries again; see retry.py
                max_pool_connections=16,
                parameter_validation=False,
            ),
        )


class MemoryInbox:
    """Scripted: plays what was put in, per queue; an exception in the script is raised."""

    def __init__(self, *, poll_seconds: float = 0.05) -> None:
        self._poll_seconds = poll_seconds
        self._scripts: dict[str, queue.SimpleQueue[Ring | Exception]] = {}
        self._lock = threading.Lock()

    def put(self, queue_url: str, item: Ring | Exception) -> None:
        self._script(queue_url).put(item)

    def receive(self, grant: QueueGrant) -> Ring | None:
        try:
            item = self._script(grant.url).get(timeout=self._poll_seconds)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def _script(self, queue_url: str) -> "queue.SimpleQueue[Ring | Exception]":
        with self._lock:
            return self._scripts.setdefault(queue_url, queue.SimpleQueue())
