"""The driver of the dispatch bench: what it measures is what is deployed."""

import pytest

from bench.dispatch.calls import Call
from bench.dispatch.packages import a_customer, generous, layers, sweep, upload
from bench.dispatch.plane import ControlPlane
from gpupool.jobs.model import JobStatus
from gpupool.planning.model import Manifest


@pytest.mark.parametrize(("manifest", "units"), [(layers(1), 1), (layers(35), 35), (sweep(4), 4), (sweep(200), 200)])
def test_a_job_is_planned_worked_off_and_billed(manifest: Manifest, units: int) -> None:
    plane = ControlPlane(generous())
    customer_id = a_customer(plane.customer)
    request = upload(plane.ports, customer_id, manifest)
    job_id = plane.customer.jobs.submit(customer_id, request, idempotency_key=None).job.id
    plane.settle()
    lifecycles = 0
    while plane.work():
        lifecycles += 1

    job = plane.ports.world.jobs[job_id]
    assert (job.status, lifecycles, job.units_completed) == (JobStatus.COMPLETED, units, units)
    assert plane.ports.ledger.balance(customer_id).spent == job.credits_spent == units
    assert plane.machine.next_step() is None


def test_a_call_is_made_again_about_other_things() -> None:
    call = Call("dynamodb", "PutItem", {"Item": {"id": {"S": "a#1"}, "set": {"SS": ["a"]}}, "Names": ["b", 7, b"a"]})

    again = call.renamed({"a": "b", "b": "c"})

    assert again.parameters == {"Item": {"id": {"S": "b#1"}, "set": {"SS": ["b"]}}, "Names": ["c", 7, b"a"]}
    assert (again.service, again.operation) == ("dynamodb", "PutItem")
