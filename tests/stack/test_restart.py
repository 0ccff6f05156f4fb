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


@pytest.fixture
def demo(own_stack: LocalStack) -> Customer:
    variables = own_stack.variables
    return Customer(api=own_stack.api, email=variables["GPU_AGENT_EMAIL"], key=variables["GPU_AGENT_API_KEY"])


@pytest.fixture
def own_machines(own_stack: LocalStack) -> Iterator[Machines]:
    machines = Machines(own_stack)
    try:
        machines.join("north")
        yield machines
    finally:
        machines.leave()


def test_stack_goes_on_where_it_stopped(own_stack: LocalStack, demo: Customer, own_machines: Machines, desk: Path) -> None:
    done = demo.ended(demo.train(packages.script(packages.TRAIN), desk))
    own_machines.kill("north")
    waiting = demo.train(packages.script(packages.TRAIN), desk, name="waiting")
    eventually(lambda: "queued" in states_of(demo, waiting), what="a unit that waits for a machine")
    before = seen_by(demo)

    again = stop_and_start(own_stack)

    assert again.variables == own_stack.variables
    assert again.running.pid != own_stack.running.pid
    assert seen_by(demo) == before
    own_machines.revive("north")
    finished = demo.ended(waiting)
    assert done["status"] == finished["status"] == "completed", finished
    for job in (done, finished):
        check_books(demo, job)
        assert demo.artifact(job, "package", "model.tar.gz")

    # Now it stops under a machine's work: whether that goes on or begins anew, it ends and is paid once.
    running = demo.train(packages.waiting(), desk, parameters={"seconds": 5.0})
    demo.running(running, "train")
    stop_and_start(again)
    finished = demo.ended(running)
    assert finished["status"] == "completed", finished
    check_books(demo, finished)
    assert demo.balance()["held"] == 0


def states_of(customer: Customer, job: Json) -> list[str]:
    return [unit["status"] for unit in customer.client.units(job["id"])]
