"""The adapters behind every port, as two sets: AWS, and memory. A set builds an adapter when it is first asked for, so a
function that lacks a table's name only fails if it touches that table."""

import random
import secrets
from collections.abc import Callable
from functools import cached_property
from typing import Protocol

from gpupool.accounts.passwords import PasswordHasher
from gpupool.accounts.store import AccountStore
from gpupool.clock import Clock, SystemClock
from gpupool.dispatch.model import QueueUrls
from gpupool.dispatch.queue import Queue
from gpupool.events.store import EventStore
from gpupool.idempotency.store import IdempotencyStore
from gpupool.ids import new_id
from gpupool.jobs.store import JobStore
from gpupool.ledger.store import LedgerStore
from gpupool.limits.store import LimitStore
from gpupool.nodes.issuer import CredentialIssuer
from gpupool.nodes.store import NodeStore
from gpupool.objects.store import ObjectStore
from gpupool.settings import Settings
from gpupool.transitions.store import Transitions
from gpupool.units.store import UnitStore
from gpupool.uploads.store import UploadStore
from gpupool.webhooks.queue import DeliveryQueue
from gpupool.webhooks.sender import Sender
from gpupool.webhooks.store import WebhookStore
from gpupool.workflow.executions import Executions


class Ports(Protocol):
    """Everything that services stand on."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def accounts(self) -> AccountStore: ...
    @property
    def passwords(self) -> PasswordHasher: ...
    @property
    def uploads(self) -> UploadStore: ...
    @property
    def jobs(self) -> JobStore: ...
    @property
    def units(self) -> UnitStore: ...
    @property
    def ledger(self) -> LedgerStore: ...
    @property
    def limits(self) -> LimitStore: ...
    @property
    def nodes(self) -> NodeStore: ...
    @property
    def idempotency(self) -> IdempotencyStore: ...
    @property
    def events(self) -> EventStore: ...
    @property
    def transitions(self) -> Transitions: ...
    @property
    def objects(self) -> ObjectStore: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def queue_urls(self) -> QueueUrls: ...
    @property
    def webhooks(self) -> WebhookStore: ...
    @property
    def webhook_queue(self) -> DeliveryQueue: ...
    @property
    def sender(self) -> Sender: ...
    @property
    def jitter(self) -> Callable[[], float]: ...
    @property
    def executions(self) -> Executions: ...
    @property
    def issuer(self) -> CredentialIssuer: ...
    @property
    def region(self) -> str: ...
    @property
    def signing_secret(self) -> Callable[[], bytes]: ...
    @property
    def random_hex(self) -> Callable[[int], str]: ...
    @property
    def new_id(self) -> Callable[[], str]: ...


class AwsPorts:
    """The adapters of a deployment. Adapter modules are imported where they are used: a cold start pays for what it needs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock: Clock = SystemClock()
        self.random_hex: Callable[[int], str] = secrets.token_hex
        self.new_id: Callable[[], str] = new_id
        self.jitter: Callable[[], float] = random.random

    @cached_property
    def accounts(self) -> AccountStore:
        from gpupool import aws
        from gpupool.accounts.dynamo import DynamoAccountStore

        names = {"customers_table": self._table("customers"), "keys_table": self._table("keys")}
        return DynamoAccountStore(aws.dynamodb(), **names)

    @cached_property
    def passwords(self) -> PasswordHasher:
        from gpupool.accounts.passwords import Argon2Hasher

        return Argon2Hasher()

    @cached_property
    def uploads(self) -> UploadStore:
        from gpupool import aws
        from gpupool.uploads.dynamo import DynamoUploadStore

        return DynamoUploadStore(aws.dynamodb(), self._table("uploads"))

    @cached_property
    def jobs(self) -> JobStore:
        from gpupool import aws
        from gpupool.jobs.dynamo import DynamoJobStore

        return DynamoJobStore(aws.dynamodb(), self._table("jobs"), progress_table=self._table("progress"))

    @cached_property
    def units(self) -> UnitStore:
        from gpupool import aws
        from gpupool.units.dynamo import DynamoUnitStore

        # Only what moves a job on has the gates' name; the node door claims without it.
        return DynamoUnitStore(aws.dynamodb(), self._table("units"), gates_table=self.settings.gates_table)

    @cached_property
    def ledger(self) -> LedgerStore:
        from gpupool import aws
        from gpupool.ledger.dynamo import DynamoLedgerStore

        return DynamoLedgerStore(aws.dynamodb(), self._table("ledger"))

    @cached_property
    def limits(self) -> LimitStore:
        from gpupool import aws
        from gpupool.limits.dynamo import DynamoLimitStore

        return DynamoLimitStore(aws.dynamodb(), self._table("limits"), self.clock)

    @cached_property
    def nodes(self) -> NodeStore:
        from gpupool import aws
        from gpupool.nodes.dynamo import DynamoNodeStore

        return DynamoNodeStore(aws.dynamodb(), self._table("nodes"))

    @cached_property
    def idempotency(self) -> IdempotencyStore:
        from gpupool import aws
        from gpupool.idempotency.dynamo import DynamoIdempotencyStore

        return DynamoIdempotencyStore(aws.dynamodb(), self._table("idempotency"), self.clock)

    @cached_property
    def events(self) -> EventStore:
        from gpupool import aws
        from gpupool.events.dynamo import DynamoEventStore

        return DynamoEventStore(aws.dynamodb(), self._table("events"))

    @cached_property
    def transitions(self) -> Transitions:
        from gpupool import aws
        from gpupool.transitions.dynamo import DynamoTransitions, Tables

        known = self.settings
        tables = Tables(
            jobs=known.jobs_table,
            progress=known.progress_table,
            ledger=known.ledger_table,
            uploads=known.uploads_table,
            idempotency=known.idempotency_table,
            limits=known.limits_table,
        )
        return DynamoTransitions(aws.dynamodb(), tables)

    @cached_property
    def objects(self) -> ObjectStore:
        from gpupool import aws
        from gpupool.objects.s3 import S3ObjectStore

        return S3ObjectStore(aws.s3(), self.settings.require("bucket"))

    @cached_property
    def queue_urls(self) -> QueueUrls:
        return QueueUrls(self.settings.queue_urls)

    @cached_property
    def queue(self) -> Queue:
        from gpupool import aws
        from gpupool.dispatch.sqs import SqsQueue

        return SqsQueue(aws.sqs(), self.queue_urls)

    @cached_property
    def webhooks(self) -> WebhookStore:
        from gpupool import aws
        from gpupool.webhooks.dynamo import DynamoWebhookStore

        names = {"webhooks_table": self._table("webhooks"), "deliveries_table": self._table("deliveries")}
        return DynamoWebhookStore(aws.dynamodb(), **names)

    @cached_property
    def webhook_queue(self) -> DeliveryQueue:
        from gpupool import aws
        from gpupool.webhooks.sqs import SqsDeliveryQueue

        return SqsDeliveryQueue(aws.sqs(), self.settings.require("webhook_queue_url"))

    @cached_property
    def sender(self) -> Sender:
        from gpupool.webhooks.https import PinnedSender

        return PinnedSender(insecure_hosts=self.settings.webhook_insecure_hosts)

    @cached_property
    def executions(self) -> Executions:
        from gpupool import aws
        from gpupool.workflow.stepfunctions import StepFunctionsExecutions

        return StepFunctionsExecutions(aws.stepfunctions(), self.settings.state_machine_arn)

    @cached_property
    def issuer(self) -> CredentialIssuer:
        from gpupool import aws
        from gpupool.nodes.sts import StsIssuer

        return StsIssuer(aws.sts(), role_arn=self.settings.require("node_role_arn"), region=self.region)

    @cached_property
    def region(self) -> str:
        from gpupool import aws

        return aws.region()

    @cached_property
    def signing_secret(self) -> Callable[[], bytes]:
        """Fetched on the first cursor, then kept: most requests carry none."""
        cached: list[bytes] = []

        def secret() -> bytes:
            if not cached:
                from gpupool import aws

                answer = aws.secretsmanager().get_secret_value(SecretId=self.settings.require("signing_secret_arn"))
                cached.append(answer["SecretString"].encode())
            return cached[0]

        return secret

    def _table(self, name: str) -> str:
        return self.settings.require(f"{name}_table")
