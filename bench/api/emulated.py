"""The customer door over real AWS clients and the local emulator, with one customer and as many jobs as asked."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mangum import Mangum

from bench.api.meter import Meter
from bench.api.platform import Handler, a_job
from bench.uploads import a_ready_upload
from functions.customer_api.app import create_app
from gpupool import aws
from gpupool.accounts.model import Scope
from gpupool.bootstrap import CustomerCore, build_customer_core
from gpupool.ids import new_id
from gpupool.jobs.dynamo import job_item
from gpupool.jobs.model import JobStatus
from gpupool.planning.manifest import manifest_to_dict, parse_manifest
from gpupool.ports import AwsPorts
from gpupool.settings import Settings
from gpupool.uploads.model import UploadKind
from infra.constructs.tables import SPECS, TableSpec
from local.testing import PrivateEmulator, private_emulator

BUCKET = "bench"
_PLENTY = 1_000_000


@dataclass(frozen=True)
class Emulated:
    """``submission`` is a body that ``POST /training-jobs`` accepts; ``meter`` sees every AWS call of the door."""

    handler: Handler
    headers: dict[str, str]
    meter: Meter
    submission: dict[str, Any]
    job_id: str
    customer_id: str

    def add_jobs(self, count: int) -> None:
        """Writes jobs of the customer past the API, 25 at a time."""
        template = a_job(self.customer_id)
        for start in range(0, count, 25):
            jobs = [replace(template, id=new_id(), status=JobStatus.COMPLETED) for _ in range(min(25, count - start))]
            aws.dynamodb().batch_write_item(RequestItems={"jobs": [{"PutRequest": {"Item": job_item(job)}} for job in jobs]})


@contextmanager
def empty_account() -> Iterator[dict[str, str]]:
    """A private emulator with the tables and nothing that reacts to them, and the settings that name what is there."""
    with TemporaryDirectory() as home, private_emulator(Path(home)) as emulator, _named(emulator):
        for spec in SPECS:
            _create(spec)
        aws.s3().create_bucket(Bucket=BUCKET)
        made = aws.secretsmanager().create_secret(Name="signing", SecretString=secrets.token_hex(32))
        names = {f"{spec.name}_table": spec.name for spec in SPECS}
        yield names | {"bucket": BUCKET, "signing_secret_arn": made["ARN"], "webhook_queue_url": "nobody-rings"}


@contextmanager
def emulated() -> Iterator[Emulated]:
    """The door over an account of its own, so that only the door's own calls are timed."""
    with empty_account() as named:
        yield _door(build_customer_core(AwsPorts(Settings.model_validate(named | _no_limits()))))


def _no_limits() -> dict[str, int]:
    return dict.fromkeys(("requests_per_minute", "jobs_per_minute", "logins_per_minute", "live_jobs", "units_per_day"), _PLENTY)


@contextmanager
def _named(emulator: PrivateEmulator) -> Iterator[None]:
    """The environment names the emulator meanwhile. Left behind, it would send the next measurement to one that is gone."""
    before = dict(os.environ)
    os.environ.update(
        AWS_ENDPOINT_URL=emulator.running.endpoint,
        AWS_ACCESS_KEY_ID=emulator.keys.access_key_id,
        AWS_SECRET_ACCESS_KEY=emulator.keys.secret_access_key,
        AWS_DEFAULT_REGION="us-east-1",
    )
    aws.reset()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        aws.reset()


def _create(spec: TableSpec) -> None:
    keys = [spec.key, *spec.indexes.values()]
    names = {name for key in keys for name in (key.partition, key.sort) if name} | set(spec.local_indexes.values())
    optional: Any = {}
    if spec.local_indexes:
        optional["LocalSecondaryIndexes"] = [
            {"IndexName": name, "KeySchema": _schema(spec.key.partition, sort), "Projection": {"ProjectionType": "ALL"}}
            for name, sort in spec.local_indexes.items()
        ]
    if spec.indexes:
        optional["GlobalSecondaryIndexes"] = [
            {"IndexName": name, "KeySchema": _schema(key.partition, key.sort), "Projection": {"ProjectionType": "ALL"}}
            for name, key in spec.indexes.items()
        ]
    aws.dynamodb().create_table(
        TableName=spec.name,
        KeySchema=_schema(spec.key.partition, spec.key.sort),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in sorted(names)],
        BillingMode="PAY_PER_REQUEST",
        **optional,
    )


def _schema(partition: str, sort: str | None) -> Any:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return keys + ([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else [])


def _door(core: CustomerCore) -> Emulated:
    customer = core.accounts.create_customer(email="bench@example.com", password="correct horse battery", name="bench")
    core.credits.grant(customer.id, amount=_PLENTY, note="bench")
    key = core.accounts.create_key(customer.id, name="bench", scopes=frozenset(Scope), expires_at=None)
    job = a_job(customer.id)
    aws.dynamodb().put_item(TableName="jobs", Item=job_item(job))
    meter = Meter()
    for client in (aws.dynamodb(), aws.s3(), aws.secretsmanager()):
        meter.watch(client)
    asgi = Mangum(create_app(lambda: core), lifespan="off")
    return Emulated(
        handler=lambda event, context: asgi(event, context),
        headers={"x-api-key": key.plaintext},
        meter=meter,
        submission=_submission(core, customer.id),
        job_id=job.id,
        customer_id=customer.id,
    )


def _submission(core: CustomerCore, customer_id: str) -> dict[str, Any]:
    """A job over uploads that are ready; their bytes are nobody's business here."""
    from gpupool.uploads.dynamo import DynamoUploadStore

    store = DynamoUploadStore(aws.dynamodb(), "uploads")
    package = manifest_to_dict(parse_manifest(None, frozenset({"train.py"})))
    ids = {}
    for kind in UploadKind:
        ids[kind] = new_id()
        manifest = package if kind is UploadKind.TRAINING_PACKAGE else None
        store.add(a_ready_upload(kind, ids[kind], customer_id=customer_id, at=core.clock.now(), manifest=manifest))
    return {
        "name": "bench",
        "dataset_id": ids[UploadKind.DATASET],
        "training_package_id": ids[UploadKind.TRAINING_PACKAGE],
        "required_vram_mb": 0,
        "max_runtime_seconds": 60,
    }
