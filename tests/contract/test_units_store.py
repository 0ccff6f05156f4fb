"""Units in memory and in DynamoDB answer alike."""

from dataclasses import asdict, replace
from datetime import datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from gpupool.dynamo import to_item
from gpupool.errors import StaleWrite
from gpupool.units.dynamo import unit_item
from gpupool.units.edges import first_open_needs, gates_of
from gpupool.units.model import Failure, NodeFault, Output, Unit, UnitStatus
from gpupool.wire.failures import Blame, FailureCode
from gpupool.wire.units import Lease, Progress
from gpupool.wire.vocabulary import ArtifactKind
from tests.contract.both import DynamoStores, Stores
from tests.factories import NOW, a_lease, a_unit, some_work
from tests.support.work import JOB_ID

LEASE = Lease(attempt=1, lease_token="token-1")
LATER = NOW + timedelta(seconds=60)


@pytest.fixture
def tables() -> tuple[str, ...]:
    return ("units", "gates")


def running(**changes: object) -> Unit:
    return a_unit(**({"status": UnitStatus.RUNNING, "attempt": 1, "lease": a_lease()} | changes))


FULL = running(
    work=some_work(parameters={"rate": 0.125, "epochs": 3, "name": "a", "deep": True}, args=("--quiet",), goal="maximize"),
    needs=(0, 3),
    dependents=(7,),
    open_needs=frozenset({0, 3}),
    progress_fraction=0.25,
    progress_stage="running",
    metrics={"loss": 0.5, "tiny": 1e-30},
    started_at=NOW,
    finished_at=LATER,
    runtime_seconds=1.5,
    peak_memory_mb=77,
    credits=3,
    failure=Failure(FailureCode.SCRIPT_FAILED, Blame.USER, "It broke.", "u", 1, 2, "tail\n\u00e9"),
    node_name="node-0001",
    completed_by="token-0",
    faults=(NodeFault("node-1", 2, NOW), NodeFault("node-2", 0, LATER)),
)


@pytest.mark.parametrize("unit", [a_unit(), FULL, running(metrics={}, runtime_seconds=0.0)])
def test_a_unit_comes_back_as_it_was_written(stores: Stores, unit: Unit) -> None:
    stores.units.add_all((unit,))
    assert stores.units.get(unit.id) == unit
    assert stores.units.all_of(unit.job_id) == (unit,)


@pytest.mark.parametrize("unit_id", [a_unit(1).id, "another-job.00000"])
def test_a_unit_that_is_not_there_is_none(stores: Stores, unit_id: str) -> None:
    stores.units.add_all((a_unit(),))
    assert stores.units.get(unit_id) is None


def test_adding_again_leaves_what_is_there(stores: Stores) -> None:
    stores.units.add_all((a_unit(0), a_unit(1)))
    moved = stores.units.replace(replace(a_unit(0), status=UnitStatus.CANCELLED))

    stores.units.add_all((a_unit(0), a_unit(1), a_unit(2)))

    assert stores.units.all_of(JOB_ID) == (moved, a_unit(1), a_unit(2))


def test_units_come_by_index_and_only_of_their_job(stores: Stores) -> None:
    units = tuple(a_unit(at) for at in (0, 2, 10, 100))
    stores.units.add_all(tuple(reversed(units)))
    stores.units.add_all((a_unit(id="other-job.00001", job_id="other-job"),))
    assert stores.units.all_of(JOB_ID) == units
    assert stores.units.all_of("no-job") == ()


@pytest.mark.parametrize(
    ("count", "limit", "sizes"), [(5, 2, [2, 2, 1]), (4, 2, [2, 2]), (2, 2, [2]), (0, 2, [0]), (3, 100, [3])]
)
def test_pages_run_by_index_and_end_when_nothing_follows(stores: Stores, count: int, limit: int, sizes: list[int]) -> None:
    units = tuple(a_unit(at) for at in range(count))
    stores.units.add_all(units)
    seen: list[Unit] = []
    key = None
    for at, size in enumerate(sizes):
        page = stores.units.page(JOB_ID, limit=limit, key=key)
        assert len(page.items) == size
        assert (page.next_key is None) == (at == len(sizes) - 1)
        seen += page.items
        key = page.next_key
    assert tuple(seen) == units


def test_page_keys_are_the_same_in_both(stores: Stores) -> None:
    stores.units.add_all((a_unit(0), a_unit(1)))
    assert stores.units.page(JOB_ID, limit=1, key=None).next_key == {"job_id": JOB_ID, "unit_id": a_unit(0).id}


def test_a_write_counts_the_version_up(stores: Stores) -> None:
    stores.units.add_all((a_unit(),))
    written = stores.units.replace(replace(a_unit(), status=UnitStatus.CANCELLED))
    assert written.version == a_unit().version + 1
    assert stores.units.get(written.id) == written


def test_a_write_over_another_version_is_refused(stores: Stores) -> None:
    stores.units.add_all((a_unit(),))
    first = stores.units.replace(replace(a_unit(), progress_stage="first"))
    with pytest.raises(StaleWrite):
        stores.units.replace(replace(a_unit(), progress_stage="second"))
    assert stores.units.get(first.id) == first


def test_a_row_that_no_table_can_hold_is_an_error_and_not_another_try(stores: Stores) -> None:
    if not isinstance(stores, DynamoStores):
        return
    failure = Failure(FailureCode.SCRIPT_FAILED, Blame.USER, "x" * 500_000)
    stores.units.add_all((a_unit(),))
    with pytest.raises(Exception, match=r"size|Size") as refused:
        stores.units.replace(replace(a_unit(), failure=failure))
    assert not isinstance(refused.value, StaleWrite)


def test_a_unit_that_is_not_there_cannot_be_written_over(stores: Stores) -> None:
    with pytest.raises(StaleWrite):
        stores.units.replace(a_unit())
    assert stores.units.get(a_unit().id) is None


def test_a_heartbeat_extends_the_lease_and_keeps_the_progress(stores: Stores) -> None:
    unit = running()
    stores.units.add_all((unit,))
    progress = Progress(fraction=0.5, stage="running", metrics={"loss": 0.25})

    renewed = stores.units.renew(unit.id, lease=LEASE, now=NOW, expires_at=LATER, progress=progress)

    expected = replace(
        unit,
        lease=a_lease(expires_at=LATER),
        progress_fraction=0.5,
        progress_stage="running",
        metrics={"loss": 0.25},
        version=unit.version + 1,
    )
    assert renewed == expected
    assert stores.units.get(unit.id) == expected


def test_a_heartbeat_without_a_fraction_keeps_the_last_one(stores: Stores) -> None:
    unit = running(progress_fraction=0.75)
    stores.units.add_all((unit,))
    renewed = stores.units.renew(unit.id, lease=LEASE, now=NOW, expires_at=LATER, progress=Progress())
    assert renewed is not None
    assert renewed.progress_fraction == 0.75


def test_the_tiniest_fraction_does_not_cost_the_lease(stores: Stores) -> None:
    unit = running()
    stores.units.add_all((unit,))
    renewed = stores.units.renew(unit.id, lease=LEASE, now=NOW, expires_at=LATER, progress=Progress(fraction=1e-300))
    assert renewed is not None
    assert renewed.progress_fraction == pytest.approx(0)


def test_a_write_decided_before_a_heartbeat_is_refused(stores: Stores) -> None:
    unit = running()
    stores.units.add_all((unit,))
    stores.units.renew(unit.id, lease=LEASE, now=NOW, expires_at=LATER, progress=Progress())
    with pytest.raises(StaleWrite):
        stores.units.replace(replace(unit, status=UnitStatus.CANCELLED, lease=None))


@pytest.mark.parametrize(
    "unit",
    [
        running(attempt=2),
        running(lease=a_lease(token="token-2")),
        a_unit(attempt=1),
        running(status=UnitStatus.COMPLETED),
        a_unit(status=UnitStatus.CANCELLED, attempt=1),
    ],
)
def test_only_the_holder_of_the_running_attempt_renews(stores: Stores, unit: Unit) -> None:
    stores.units.add_all((unit,))
    assert stores.units.renew(unit.id, lease=LEASE, now=NOW, expires_at=LATER, progress=Progress()) is None
    assert stores.units.get(unit.id) == unit


@pytest.mark.parametrize("left", [timedelta(seconds=left) for left in (0, 0.000001, 0.5, 59.999999, 60, 61)])
@pytest.mark.parametrize("now", [NOW, NOW + timedelta(seconds=0.25)])
def test_no_heartbeat_extends_a_lease_beyond_its_deadline(stores: Stores, left: timedelta, now: datetime) -> None:
    unit = running(lease=a_lease(deadline=now + left))
    stores.units.add_all((unit,))
    wanted = now + timedelta(seconds=60)

    renewed = stores.units.renew(unit.id, lease=LEASE, now=now, expires_at=wanted, progress=Progress(stage="running"))

    if not left:
        assert renewed is None
        assert stores.units.get(unit.id) == unit
        return
    lease = a_lease(deadline=now + left, expires_at=min(wanted, now + left))
    expected = replace(unit, lease=lease, progress_stage="running", version=unit.version + 1)
    assert renewed == expected
    assert stores.units.get(unit.id) == expected


def test_a_lease_after_its_deadline_is_not_renewed(stores: Stores) -> None:
    unit = running(lease=a_lease(deadline=NOW - timedelta(seconds=1)))
    stores.units.add_all((unit,))
    assert stores.units.renew(unit.id, lease=LEASE, now=NOW, expires_at=LATER, progress=Progress()) is None
    assert stores.units.get(unit.id) == unit


def test_a_unit_that_is_not_there_is_not_renewed(stores: Stores) -> None:
    assert stores.units.renew(a_unit().id, lease=LEASE, now=NOW, expires_at=LATER, progress=Progress()) is None
    assert stores.units.get(a_unit().id) is None


def test_edges_open_one_by_one_and_twice_is_once(stores: Stores) -> None:
    unit = a_unit(5, status=UnitStatus.WAITING, needs=(1, 2), open_needs=frozenset({1, 2}))
    stores.units.add_all((unit,))

    opened = [stores.units.open_edge(unit.id, need=need, now=NOW) for need in (2, 2, 1, 1)]

    assert [each.open_needs for each in opened] == [{1}, {1}, set(), set()]
    assert [str(each.status) for each in opened] == ["waiting", "waiting", "queued", "queued"]
    stored = stores.units.get(unit.id)
    assert stored is not None
    assert (stored.open_needs, stored.needs, stored.version) == (frozenset(), (1, 2), unit.version + 4)
    assert stored.queued_at == NOW


def test_a_unit_that_does_not_wait_is_not_queued_by_an_edge(stores: Stores) -> None:
    unit = a_unit(5, status=UnitStatus.CANCELLED, needs=(1,), open_needs=frozenset({1}), queued_at=None)
    stores.units.add_all((unit,))

    opened = stores.units.open_edge(unit.id, need=1, now=NOW)

    assert (opened.status, opened.open_needs, opened.queued_at) == (UnitStatus.CANCELLED, frozenset(), None)


def test_a_gate_is_empty_once_all_its_needs_are_met_however_often_they_are_told(stores: Stores) -> None:
    gates = gates_of("job.00300", tuple(range(125, 135)))
    stores.units.add_gates(gates)

    first = [stores.units.open_gate("job.00300", need=need) for need in (126, 125, 126, 127, 127)]
    stores.units.add_gates(gates)
    second = [stores.units.open_gate("job.00300", need=need) for need in range(128, 135)]

    assert first == [False, False, False, True, True]
    assert second == [False] * 6 + [True]
    assert stores.units.open_gate("job.00300", need=126)
    assert gates_of("job.00300", (1, 2)) == ()


def test_what_is_not_there_is_not_opened(stores: Stores) -> None:
    unit, gate = a_unit(5), gates_of("job.00300", tuple(range(9)))[0]
    with pytest.raises((KeyError, ClientError)):
        stores.units.open_edge(unit.id, need=1, now=NOW)
    with pytest.raises((KeyError, ClientError)):
        stores.units.open_gate(gate.unit_id, need=1)
    assert stores.units.get(unit.id) is None
    stores.units.add_gates((gate,))
    assert [stores.units.open_gate(gate.unit_id, need=need) for need in range(9)] == [False] * 8 + [True]


def test_edges_in_equal_steps_take_no_room(stores: Stores) -> None:
    """A write costs one unit per begun kilobyte, and a wide job has many rows."""
    if not isinstance(stores, DynamoStores):
        return
    shortly = {
        (): None,
        (4,): "4",
        tuple(range(1, 20_000)): "1-19999",
        tuple(range(1, 20_000, 2)): "1-19999/2",
        (0, *range(7, 20_000, 5)): "0-7/7,12-19997/5",
        (0, 1, 2, 5, 6, 9): "0-2,5-6,9",
    }
    for index, needs in enumerate(shortly):
        stores.units.add_all((a_unit(index, needs=needs, open_needs=frozenset()),))
    rows = stores.client.query(
        TableName=f"{stores.prefix}units",
        KeyConditionExpression="job_id = :job",
        ExpressionAttributeValues={":job": {"S": JOB_ID}},
        ConsistentRead=True,
    )["Items"]
    assert [row.get("needs", {}).get("S") for row in rows] == list(shortly.values())


def test_rows_are_read_that_were_written_when_outputs_had_names(stores: Stores) -> None:
    if not isinstance(stores, DynamoStores):
        return
    left = Output("model.tar.gz", ArtifactKind.MODEL, 7, "ab" * 32)
    item = unit_item(a_unit()) | to_item({"outputs": [asdict(left) | {"kind": str(left.kind)}]})
    stores.client.put_item(TableName=f"{stores.prefix}units", Item=item)
    stored = stores.units.get(a_unit().id)
    assert stored is not None
    assert stored.outputs == (left,)


def test_a_unit_keeps_its_edges_however_many_they_are(stores: Stores) -> None:
    needs, dependents, gathered_by = (0, 1, *range(3, 900, 3)), tuple(range(901, 2_000)), (5_000,)
    unit = a_unit(900, needs=needs, dependents=dependents, gathered_by=gathered_by, open_needs=first_open_needs(needs))
    stores.units.add_all((unit,))
    assert stores.units.get(unit.id) == unit


def test_opening_an_edge_makes_older_decisions_stale(stores: Stores) -> None:
    unit = a_unit(5, status=UnitStatus.WAITING, open_needs=frozenset({1}))
    stores.units.add_all((unit,))
    stores.units.open_edge(unit.id, need=1, now=NOW)
    with pytest.raises(StaleWrite):
        stores.units.replace(replace(unit, status=UnitStatus.CANCELLED))
