"""What a unit's row weighs: beyond a kilobyte, every claim, heartbeat and report costs twice as much."""

from dataclasses import replace
from datetime import timedelta

from bench.cost.sizes import item_bytes
from gpupool.dynamo import to_item
from gpupool.planning.plan import plan_stored
from gpupool.planning.to_units import units_of
from gpupool.units import decide
from gpupool.units.decide import Terms
from gpupool.units.dynamo import unit_from, unit_item
from gpupool.units.model import Output, Unit, Worker
from gpupool.wire.units import Lease
from gpupool.wire.vocabulary import ArtifactKind
from tests.factories import NOW, SHA256, a_doorway, a_job, a_manifest

ONE_WRITE = 1_024
SWEEP = """
[package]
entry = "train.py"

[parameters]
learning_rate = 0.1
epochs = 3
hidden = 64

[strategy]
kind = "sweep"

[sweep]
objective = "test_accuracy"
goal = "maximize"
grid = { learning_rate = [0.1, 0.2], hidden = [32, 64] }
"""
# As long as a queue makes them.
DOORWAY = a_doorway(
    queue_url="https://sqs.us-east-1.amazonaws.com/123456789012/gpupool-public-gpu-8g", receipt_handle="AQEB" * 103
)


def running() -> Unit:
    """A training of a sweep in the middle of its first attempt."""
    job = a_job(id="01890a5d-0000-774b-bcce-b302099a0001")
    plan = plan_stored(a_manifest(SWEEP), job)
    waiting = units_of(plan, job, NOW, start=0, stop=len(plan.units))[1]
    queued = decide.queued(replace(waiting, open_needs=frozenset()), now=NOW)
    node_id = "01890a5d-0000-774b-bcce-b302099a0009"
    worker = Worker(node_id, "node-0001", vram_mb=0, disk_free_mb=0, queue_urls=frozenset({DOORWAY.queue_url}))
    claimed = decide.claimed(queued, worker, Terms("0" * 32, NOW, DOORWAY), now=NOW)
    metrics = {"loss": 0.123456789, "test_accuracy": 0.987654321, "epoch": 2.0}
    return replace(claimed, progress_fraction=0.123456, progress_stage="building environment", metrics=metrics)


def test_every_write_of_a_running_unit_costs_one_write() -> None:
    assert item_bytes(unit_item(running())) <= ONE_WRITE


def completed() -> Unit:
    """The same training when it has left a model, metrics and a log, at a time with a fraction."""
    unit = running()
    lease = Lease(attempt=1, lease_token="0" * 32)
    ended_at = NOW + timedelta(minutes=41, microseconds=123456)
    done = decide.completed(unit, lease=lease, metrics=unit.metrics, runtime_seconds=2459.123, credits=41, now=ended_at)
    left = (
        Output("model.tar.gz", ArtifactKind.MODEL, 123_456_789, SHA256),
        Output("metrics.jsonl", ArtifactKind.METRICS, 123_456, SHA256),
        Output("log.txt", ArtifactKind.LOGS, 1_234_567, SHA256),
    )
    return replace(done, outputs=left, peak_memory_mb=12_345)


def test_the_end_of_a_unit_that_left_three_files_costs_one_write() -> None:
    assert item_bytes(unit_item(completed())) <= ONE_WRITE


def test_outputs_with_the_names_of_their_fields_are_read_too() -> None:
    unit = completed()
    named = [
        {"name": each.name, "kind": str(each.kind), "size_bytes": each.size_bytes, "sha256": SHA256} for each in unit.outputs
    ]

    assert unit_from(unit_item(unit) | to_item({"outputs": named})) == unit
    assert unit_from(unit_item(unit)) == unit
