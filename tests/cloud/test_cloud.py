"""The cloud itself: it delivers as AWS does, and every call of the real handlers is seen."""

from collections.abc import Iterator

import pytest

from gpupool.jobs.model import Job, JobStatus
from tests.cloud.calls import Call, Fate, Watcher
from tests.cloud.cloud import Cloud, running
from tests.cloud.people import Customer, Machine


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with running(monkeypatch) as it:
        yield it


class Spoiler(Watcher):
    """Remembers every call, and gives the first one of some operation in a room its fate."""

    def __init__(self, room: str = "", operation: str = "", fate: Fate | None = None) -> None:
        self.calls: list[Call] = []
        self._wanted = (room, operation)
        self._fate = fate

    def before(self, call: Call) -> Fate | None:
        self.calls.append(call)
        if (call.invocation.room, call.operation) != self._wanted:
            return None
        fate, self._fate = self._fate, None
        return fate


def the_job(cloud: Cloud, job_id: str) -> Job:
    job = cloud.ports.jobs.get(job_id)
    assert job is not None
    return job


def test_a_job_goes_from_its_inputs_to_its_end(cloud: Cloud) -> None:
    seen = Spoiler()
    cloud.wire.watchers.append(seen)
    customer, machine = Customer(cloud), Machine(cloud)

    job_id = customer.submit(customer.inputs())
    done = machine.work_off()

    job = the_job(cloud, job_id)
    assert (done, job.status, job.units_completed) == (1, JobStatus.COMPLETED, 1)
    assert cloud.functions.errors == []
    assert {"customer_api", "node_api", "plan_job", "close_job", "on_unit_written"} <= {
        call.invocation.room for call in seen.calls
    }
    parked = next(call for call in seen.calls if call.invocation.trigger == "state Advance")
    assert parked.name == "dynamodb.UpdateItem(jobs)"
    assert [execution.status for execution in cloud.states.executions.values()] == ["SUCCEEDED"]


@pytest.mark.parametrize(
    ("room", "operation", "fate"),
    [
        ("on_unit_written", "TransactWriteItems", Fate.CRASH_AFTER),
        ("close_job", "TransactWriteItems", Fate.THROTTLED),
        ("advance_job", "UpdateItem", Fate.CRASH_BEFORE),
        ("node_api", "PutItem", Fate.CRASH_AFTER),
        ("customer_api", "TransactWriteItems", Fate.CRASH_AFTER),
    ],
)
def test_what_fails_comes_again_as_its_trigger_makes_it(cloud: Cloud, room: str, operation: str, fate: Fate) -> None:
    spoiler = Spoiler(room, operation, fate)
    customer, machine = Customer(cloud), Machine(cloud)
    inputs = customer.inputs()
    cloud.wire.watchers.append(spoiler)

    job_id = customer.submit(inputs)
    for _ in range(5):
        machine.work_off()
        cloud.pass_time(30)

    (spoilt,) = [call.invocation for call in spoiler.calls if call.fate is not None]
    assert [call for call in spoiler.calls if call.invocation.room == room and call.invocation.number > spoilt.number]
    assert the_job(cloud, job_id).status is JobStatus.COMPLETED


def test_a_write_whose_answer_is_lost_meets_its_own_effect(cloud: Cloud) -> None:
    """A conditional put is refused when the client sends it again; a transaction is not, for its token is known."""
    spoiler = Spoiler("on_job_written", "PutItem", Fate.TIMED_OUT)
    customer = Customer(cloud)
    inputs = customer.inputs()
    cloud.wire.watchers.append(spoiler)

    customer.submit(inputs)
    cloud.settle()

    (spoilt,) = [call for call in spoiler.calls if call.fate is not None]
    assert spoilt.tries == 2
    assert cloud.functions.errors == []


def test_a_wait_that_nobody_ends_times_out_and_begins_again(cloud: Cloud) -> None:
    customer = Customer(cloud)
    customer.submit(customer.inputs())
    cloud.settle()
    (execution,) = cloud.states.executions.values()
    first = execution.token

    cloud.pass_time(901)

    assert execution.state == "Advance"
    assert execution.token not in (None, first)


def test_a_stopped_execution_closes_its_job(cloud: Cloud) -> None:
    customer = Customer(cloud)
    job_id = customer.submit(customer.inputs())
    cloud.settle()
    (execution,) = cloud.states.executions.values()

    cloud.states.stop(execution)
    cloud.settle()

    assert the_job(cloud, job_id).status is JobStatus.FAILED
