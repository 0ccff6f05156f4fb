"""A stack that stops and starts again goes on where it was; agents wait for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local import bringup
from local.bringup import LocalStack, Wishes
from local.testing import private_stack
from tests.stack import packages
from tests.stack.customers import Customer, Json, check_books
from tests.stack.machines import Machines
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack that nobody else minds losing for a while."""
    with private_stack(tmp_path / "stack") as stack:
        yield stack


def stop_and_start(stack: LocalStack) -> LocalStack:
    """What ``make down`` and ``make up`` do, on the same port."""
    assert bringup.take_down(layout=stack.layout, say=lambda _text: None)
    wishes = Wishes(port=stack.running.port, with_parent=True)
    return bringup.bring_up(layout=stack.layout, wishes=wishes, say=lambda _text: None)


def seen_by(customer: Customer) -> Json:
    """Everything that the customer can list."""
    paths = ("/training-jobs", "/datasets", "/training-packages", "/credits/ledger")
    return {path: customer.ask("GET", path).body["data"] for path in paths} | {"balance": customer.balance()}


def test_work_goes_on_after_a_restart(own_stack: LocalStack, desk: Path) -> None:
    variables = own_stack.variables
    customer = Customer(api=own_stack.api, email=variables["GPU_AGENT_EMAIL"], key=variables["GPU_AGENT_API_KEY"])
    machines = Machines(own_stack)
    try:
        machines.join("north")
        done = customer.ended(customer.train(packages.script(packages.TRAIN), desk))
        machines.kill("north")
        waiting = customer.train(packages.script(packages.TRAIN), desk, name="waiting")
        eventually(lambda: "queued" in states_of(customer, waiting), what="a unit that waits for a machine")
        before = seen_by(customer)

        again = stop_and_start(own_stack)
        after = seen_by(customer)
        machines.revive("north")
        finished = customer.ended(waiting)
    finally:
        machines.leave()

    assert again.variables == variables
    assert again.running.pid != own_stack.running.pid
    assert done["status"] == finished["status"] == "completed", finished
    assert after == before
    for job in (done, finished):
        check_books(customer, job)
        assert customer.artifact(job, "package", "model.tar.gz")
    assert customer.balance()["held"] == 0


def states_of(customer: Customer, job: Json) -> list[str]:
    return [unit["status"] for unit in customer.client.units(job["id"])]
