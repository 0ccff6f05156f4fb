"""What happens to a unit when its machine dies or its owner changes their mind."""

import time
import uuid
from pathlib import Path

import psutil
import pytest

from tests.stack import packages
from tests.stack.customers import Customer, check_books
from tests.stack.machines import Machines, processes_with
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack

HEARTBEAT_SECONDS = 2.0
# From the API's answer to the unit's row, on a machine that other things keep busy.
_MARGIN_SECONDS = 6.0


def test_killed_machine_costs_a_lease_and_no_money(customer: Customer, machines: Machines, desk: Path) -> None:
    marker = uuid.uuid4().hex
    job = customer.train(packages.waiting(), desk, parameters={"marker": marker, "seconds": 4.0})
    unit = customer.running(job, "train")
    lost = machines.holder(unit["id"])
    eventually(lambda: processes_with(marker), what="the unit's process")
    family = machines.process(lost).children(recursive=True)
    assert {process.pid for process in processes_with(marker)} <= {process.pid for process in family}

    machines.kill(lost)

    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    done = customer.ended(job)
    machines.revive(lost)
    again = customer.unit(job, "train")
    assert done["status"] == "completed"
    assert again["attempt"] == 2
    assert again["node"] != unit["node"]
    assert all(customer.unit(job, name)["attempt"] == 1 for name in ("prepare", "package"))
    debits = [entry["unit_id"] for entry in check_books(customer, done) if entry["kind"] == "debit"]
    assert debits.count(unit["id"]) == 1
    assert list((machines.folder(lost) / "work").glob("unit-*")) == []


def test_machine_that_is_stopped_twice_gives_its_work_back(customer: Customer, machines: Machines, desk: Path) -> None:
    marker = uuid.uuid4().hex
    job = customer.train(packages.waiting(), desk, parameters={"marker": marker, "seconds": 5.0})
    unit = customer.running(job, "train")
    first = machines.holder(unit["id"])
    eventually(lambda: processes_with(marker), what="the unit's process")

    machines.ask_to_stop(first)
    eventually(lambda: "phase=stopping" in machines.log(first), what="the agent finishing its work")
    assert processes_with(marker)
    machines.ask_to_stop(first)

    eventually(lambda: machines.exit_code(first) is not None, what="the agent's end", seconds=30)
    done = customer.ended(job)
    machines.revive(first)
    again = customer.unit(job, "train")
    assert (done["status"], again["attempt"]) == ("completed", 2)
    assert again["node"] != unit["node"]
    assert again["failure"] is None
    assert len([entry for entry in check_books(customer, done) if entry["unit_id"] == unit["id"]]) == 1


def test_cancel_ends_the_work_within_a_heartbeat(customer: Customer, machines: Machines, desk: Path) -> None:
    marker = uuid.uuid4().hex
    job = customer.train(packages.waiting(), desk, parameters={"marker": marker})
    unit = customer.running(job, "train")
    processes = eventually(lambda: processes_with(marker), what="the unit's process")
    held = customer.balance()["held"]

    answer = customer.ask("POST", f"/training-jobs/{job['id']}/cancel")
    _, alive = psutil.wait_procs(processes, timeout=HEARTBEAT_SECONDS + _MARGIN_SECONDS)

    assert answer.status == 202
    assert answer.body["cancel_requested_at"] is not None
    assert alive == []
    done = customer.ended(job)
    assert (done["status"], done["failure"]) == ("cancelled", None)
    states = {each["name"]: each["status"] for each in customer.client.units(job["id"])}
    assert states == {"prepare": "completed", "train": "cancelled", "package": "cancelled"}
    entries = check_books(customer, done)
    assert [entry["kind"] for entry in entries] == ["hold", "debit", "release"]
    assert entries[1]["unit_id"] == customer.unit(job, "prepare")["id"]
    assert held > 0
    assert customer.balance()["held"] == 0
    assert processes_with(marker) == []
    assert customer.unit(job, "train")["node"] == unit["node"]


def test_ended_job_cannot_be_cancelled(customer: Customer, machines: Machines, desk: Path) -> None:
    marker = uuid.uuid4().hex
    job = customer.train(packages.waiting(), desk, parameters={"marker": marker})
    customer.ask("POST", f"/training-jobs/{job['id']}/cancel")
    done = customer.ended(job)

    answer = customer.ask("POST", f"/training-jobs/{job['id']}/cancel")

    assert answer.status == 409
    assert answer.error["code"] == "JOB_NOT_CANCELLABLE"
    assert customer.client.job(job["id"]) == done


def test_machine_out_of_work_hears_of_the_next_unit_at_once(customer: Customer, machines: Machines, desk: Path) -> None:
    package = customer.upload("training-packages", packages.script(packages.TRAIN), desk)
    body = customer.wish(package, customer.upload("datasets", b"1\n", desk))
    started = time.monotonic()

    job = customer.submit(body)
    eventually(lambda: customer.client.units(job["id"]), what="the plan")
    eventually(lambda: customer.unit(job, "prepare")["started_at"], what="the first unit's start")

    # A long poll of 20 s is answered by the bell, not by its end; on an idle machine this takes well under a second.
    assert time.monotonic() - started < 10
    customer.ended(job)
