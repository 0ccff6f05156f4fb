"""Every contract test three times: in memory, on moto and on the emulator."""

from collections.abc import Iterator
from functools import cache
from itertools import count
from typing import Any

import boto3
import pytest
from moto import mock_aws

from gpupool import aws
from local.testing import PrivateEmulator, private_emulator
from tests.contract.both import Cloud, DynamoStores, MemoryStores, Stores
from tests.support.haste import make_haste, place_tables
from tests.support.tables import TABLES, create_tables

REGION = "us-east-1"
KINDS = ("memory", "moto", pytest.param("ministack", marks=pytest.mark.stack))
_numbers = count(1)
# The tables themselves, and the one local index; global ones can answer late only.
_PROMPT = (None, "by_time")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEmulator]:
    """One process for all the contract tests of a session; started for the first that asks."""
    with private_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def emulated(emulator: PrivateEmulator) -> Cloud:
    """Clients of the emulator, one of each."""
    return cache(emulator.root.client)


@pytest.fixture(scope="session")
def mocked() -> Cloud:
    """Clients of moto, one of each."""
    credentials = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return cache(lambda service: boto3.client(service, region_name=REGION, **credentials))


@pytest.fixture(autouse=True)
def unwelcome_requests(request: pytest.FixtureRequest) -> Iterator[None]:
    """What DynamoDB takes otherwise than any emulation, and is therefore looked for: only a timeline may be read late, and a
    condition may not be empty."""
    if "cloud" not in request.fixturenames or request.getfixturevalue("cloud") is None:
        yield
        return
    unwelcome: list[str] = []

    def look(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name == "BatchGetItem":
            unwelcome.extend(name for name, asked in params["RequestItems"].items() if not asked.get("ConsistentRead"))
        prompt = params.get("ConsistentRead") or params.get("IndexName") not in _PROMPT
        if model.name in ("GetItem", "Query") and not prompt and not params["TableName"].endswith("events"):
            unwelcome.append(f"{model.name} of {params['TableName']}")
        statements = [each for item in params.get("TransactItems", ()) for each in item.values()]
        unwelcome.extend("empty condition" for each in (params, *statements) if each.get("ConditionExpression") == "")

    events = request.getfixturevalue("cloud")("dynamodb").meta.events
    events.register("before-parameter-build.dynamodb", look)
    yield
    events.unregister("before-parameter-build.dynamodb", look)
    assert unwelcome == []


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cloud(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud | None]:
    """The emulation of AWS, which the environment names too, so that ``gpupool.aws`` finds it; None in memory."""
    if kind == "memory":
        yield None
        return
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    aws.reset()
    if kind == "moto":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        make_haste(monkeypatch)
        with mock_aws():
            yield request.getfixturevalue("mocked")
    else:
        emulator = request.getfixturevalue("emulator")
        monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.running.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", emulator.keys.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", emulator.keys.secret_access_key)
        yield request.getfixturevalue("emulated")
    aws.reset()


@pytest.fixture
def prefix(kind: str) -> str:
    """Begins the names of whatever a test makes: what others left on the emulator is nothing to it."""
    return f"test-{next(_numbers)}-" if kind == "ministack" else ""


@pytest.fixture
def tables() -> tuple[str, ...]:
    """Those that exist. A module that needs few says so, and does not wait for the others."""
    return tuple(TABLES)


@pytest.fixture
def stores(cloud: Cloud | None, kind: str, prefix: str, tables: tuple[str, ...]) -> Iterator[Stores]:
    """One kind of every store, empty."""
    if cloud is None:
        yield MemoryStores()
        return
    client = cloud("dynamodb")
    if kind == "moto":
        place_tables(client, *tables)
        yield DynamoStores(client)
        return
    create_tables(client, *tables, prefix=prefix)
    yield DynamoStores(client, prefix=prefix)
    for name in tables:
        client.delete_table(TableName=prefix + name)
