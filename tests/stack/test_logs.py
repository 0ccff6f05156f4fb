"""The log of a unit while it runs."""

from pathlib import Path
from typing import Any

import pytest

from local.bringup import LocalStack
from tests.stack import packages
from tests.stack.customers import Customer, Json
from tests.stack.machines import Machines
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack

TALK = f"""
    import json, os, threading
    for number in range(600):
        print(json.dumps({{"step": number, "total_steps": 600, "loss": 1 / (number + 1)}}), flush=True)
        if os.path.exists("/opt/ml/checkpoints/enough"):
            break
        threading.Event().wait(0.1)
    {packages.MODEL}
"""


def chunks_of(stack: LocalStack, unit: Json) -> dict[int, bytes]:
    """The chunks in the bucket by their number."""
    s3: Any = stack.account.client("s3")
    bucket = stack.variables["BUCKET"]
    prefix = f"logs/{unit['job_id']}/{unit['id']}/{unit['attempt']}/"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    keys = [entry["Key"] for entry in listed]
    return {int(Path(key).stem): s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def test_chunks_arrive_while_the_unit_runs(local_stack: LocalStack, customer: Customer, machines: Machines, desk: Path) -> None:
    job = customer.train(packages.script(TALK), desk)
    unit = customer.running(job, "train", having=lambda unit: unit["progress"]["fraction"])

    eventually(lambda: len(chunks_of(local_stack, unit)) >= 2, what="two chunks of the log", seconds=30)
    still = customer.unit(job, "train")
    chunks = chunks_of(local_stack, unit)
    customer.client.cancel(job["id"])

    assert still["status"] == "running"
    assert 0 < still["progress"]["fraction"] < 1
    assert still["progress"]["metrics"]["loss"] > 0
    assert sorted(chunks) == list(range(len(chunks)))
    lines = b"".join(chunks[number] for number in sorted(chunks)).splitlines()
    assert [line.split(b",")[0] for line in lines[:3]] == [b'{"step": %d' % number for number in range(3)]
    assert len(lines) == len(set(lines))
    assert customer.ended(job)["status"] == "cancelled"
