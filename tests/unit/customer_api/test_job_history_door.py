"""Events, logs and quotes through the customer door."""

from typing import Any

import pytest

from gpupool.bootstrap import build_outbox
from gpupool.units.model import UnitStatus
from tests.factories import NOW, a_lease
from tests.support.customer_door import SEED_SCOPES, Door, Visitor
from tests.support.work import a_unit


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def ada(door: Door) -> Visitor:
    return door.customer(scopes=SEED_SCOPES)


def a_running_unit(door: Door, job_id: str) -> str:
    """Gives a job a unit on its second attempt; its id."""
    unit = a_unit(
        0,
        id=f"{job_id}.00000",
        job_id=job_id,
        status=UnitStatus.RUNNING,
        attempt=2,
        started_at=NOW,
        node_name="node-0001",
        lease=a_lease(),
    )
    door.ports.units.add_all((unit,))
    return unit.id


def printed(door: Door, unit_id: str, *chunks: str, attempt: int = 2) -> None:
    for seq, text in enumerate(chunks):
        job_id = unit_id.rpartition(".")[0]
        door.ports.objects.put(f"logs/{job_id}/{unit_id}/{attempt}/{seq:06d}.txt", text.encode())


def told(door: Door, job_id: str) -> None:
    """Delivers what the submit of a job wrote."""
    build_outbox(door.ports).job_written(None, door.world.jobs[job_id])


def test_a_timeline_is_read_page_by_page(door: Door, ada: Visitor) -> None:
    job = ada.job()
    told(door, job["id"])
    unit_id = a_running_unit(door, job["id"])
    unit = door.ports.units.get(unit_id)
    assert unit is not None
    build_outbox(door.ports).unit_written(None, unit)

    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = ada.get(f"/training-jobs/{job['id']}/events", params={"limit": 1, **cursor}).json()
        seen += page["data"]
        if not page["page"]["has_more"]:
            break
        cursor = {"cursor": page["page"]["next_cursor"]}

    credits = job["quote"]["credits"]
    assert [(event["type"], event["unit_id"], event["message"]) for event in seen] == [
        ("job.created", None, f"The job tiny-mlp was submitted, and {credits} credits are held for it."),
        ("unit.started", unit_id, "train_000 started on node-0001, attempt 2."),
    ]
    assert {event["job_id"] for event in seen} == {job["id"]}
    assert seen[0]["data"] == {"name": "tiny-mlp", "status": "queued", "credits_held": credits}


def test_a_cursor_of_one_timeline_does_not_open_another(door: Door, ada: Visitor) -> None:
    mine, other = ada.job(), ada.job()
    for job in (mine, other):
        told(door, job["id"])
        a_running_unit(door, job["id"])
    unit = door.ports.units.get(f"{mine['id']}.00000")
    assert unit is not None
    build_outbox(door.ports).unit_written(None, unit)
    cursor = ada.get(f"/training-jobs/{mine['id']}/events", params={"limit": 1}).json()["page"]["next_cursor"]

    refused = ada.get(f"/training-jobs/{other['id']}/events", params={"limit": 1, "cursor": cursor})

    assert refused.json()["error"]["code"] == "PAGINATION_INVALID_CURSOR"


def test_a_log_is_read_while_it_grows_and_to_its_end(door: Door, ada: Visitor) -> None:
    job = ada.job()
    unit_id = a_running_unit(door, job["id"])
    printed(door, unit_id, "epoch 1\n", "epoch 2 — fertig\n")

    first = ada.get(f"/training-jobs/{job['id']}/logs", params={"limit_bytes": 17}).json()
    rest = ada.get(f"/training-jobs/{job['id']}/logs", params={"offset": first["next_offset"]}).json()

    assert first == {
        "job_id": job["id"],
        "unit_id": unit_id,
        "attempt": 2,
        "offset": 0,
        "next_offset": 16,
        "size_bytes": 27,
        "ended": False,
        "missing": [],
        "text": "epoch 1\nepoch 2 ",
    }
    assert (rest["text"], rest["offset"], rest["next_offset"]) == ("— fertig\n", 16, 27)


def test_the_end_of_an_earlier_attempt(door: Door, ada: Visitor) -> None:
    job = ada.job()
    unit_id = a_running_unit(door, job["id"])
    printed(door, unit_id, "one\ntwo\n", "three\n", attempt=1)

    query = {"unit_id": unit_id, "attempt": 1, "tail": 2}
    log = ada.get(f"/training-jobs/{job['id']}/logs", params=query).json()

    assert (log["text"], log["offset"], log["next_offset"], log["ended"]) == ("two\nthree\n", 4, 14, True)


def test_before_anything_is_printed_the_log_is_empty(door: Door, ada: Visitor) -> None:
    job = ada.job()
    unplanned = ada.get(f"/training-jobs/{job['id']}/logs").json()
    unit_id = a_running_unit(door, job["id"])
    silent = ada.get(f"/training-jobs/{job['id']}/logs", params={"tail": 5}).json()

    assert (unplanned["unit_id"], unplanned["text"], unplanned["ended"]) == (None, "", False)
    assert (silent["unit_id"], silent["text"], silent["size_bytes"], silent["ended"]) == (unit_id, "", 0, False)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"tail": 0}, "tail"),
        ({"tail": 1001}, "tail"),
        ({"offset": -1}, "offset"),
        ({"limit_bytes": 3}, "limit_bytes"),
        ({"limit_bytes": 262_145}, "limit_bytes"),
        ({"attempt": 0}, "attempt"),
        ({"tail": 1, "offset": 0}, "tail"),
    ],
)
def test_what_cannot_be_read_is_refused(ada: Visitor, query: dict[str, int], field: str) -> None:
    answer = ada.get(f"/training-jobs/{ada.job()['id']}/logs", params=query)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == field


def test_a_unit_is_looked_for_in_its_own_job_only(door: Door, ada: Visitor) -> None:
    job, other = ada.job(), ada.job()
    elsewhere = a_running_unit(door, other["id"])
    printed(door, elsewhere, "not yours\n")

    for unit_id in (elsewhere, f"{job['id']}.00007", "nonsense", "x" * 300):
        answer = ada.get(f"/training-jobs/{job['id']}/logs", params={"unit_id": unit_id})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "UNIT_NOT_FOUND")


@pytest.mark.parametrize("what", ["events", "logs"])
def test_another_customers_history_is_as_absent_as_one_that_never_was(door: Door, ada: Visitor, what: str) -> None:
    job = ada.job()
    told(door, job["id"])
    unit_id = a_running_unit(door, job["id"])
    printed(door, unit_id, "secret\n")
    eve = door.customer("eve@example.com", scopes=SEED_SCOPES)

    for job_id in (job["id"], "01890a5d-0000-774b-bcce-b302099a9999", "x" * 300):
        answer = eve.get(f"/training-jobs/{job_id}/{what}", params={"unit_id": unit_id} if what == "logs" else {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")


def test_a_quote_is_what_the_job_will_hold(door: Door, ada: Visitor) -> None:
    request = ada.job_request()
    before = (dict(door.world.jobs), dict(door.world.transfers[ada.id]), dict(door.world.idempotency))

    offer = ada.post("/training-jobs/quote", request).json()

    assert (dict(door.world.jobs), dict(door.world.transfers[ada.id]), dict(door.world.idempotency)) == before
    job = ada.post("/training-jobs", request).json()
    assert offer["quote"] == job["quote"]
    assert offer == {
        "quote": job["quote"],
        "units_total": 3,
        "strategy": "single",
        "credits_available": 1000,
        "affordable": True,
    }


def test_a_quote_that_cannot_be_paid_is_told_and_not_refused(door: Door) -> None:
    poor = door.customer("poor@example.com", scopes=SEED_SCOPES, credits=5)
    request = poor.job_request()

    offer = poor.post("/training-jobs/quote", request)

    assert (offer.status_code, offer.json()["credits_available"], offer.json()["affordable"]) == (200, 5, False)
    assert poor.post("/training-jobs", request).status_code == 402


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dataset_id": "absent"}, "DATASET_NOT_FOUND"),
        ({"training_package_id": "absent"}, "TRAINING_PACKAGE_NOT_FOUND"),
        ({"parameters": {"unknown": 1}}, "UNKNOWN_PARAMETER"),
        ({"sensitivity": "private"}, "SENSITIVITY_UNAVAILABLE"),
        ({"required_vram_mb": 8000, "min_vram_mb": 4000}, "VALIDATION_FAILED"),
        ({"surprise": 1}, "VALIDATION_FAILED"),
    ],
)
def test_a_quote_is_refused_as_the_job_would_be(ada: Visitor, changes: dict[str, Any], code: str) -> None:
    request = ada.job_request(**changes)

    quoted, created = ada.post("/training-jobs/quote", request), ada.post("/training-jobs", request)

    assert quoted.status_code == created.status_code
    assert quoted.json()["error"]["code"] == created.json()["error"]["code"] == code
    assert quoted.json()["error"].get("details") == created.json()["error"].get("details")


def test_quoting_takes_no_jobs_route_away(ada: Visitor) -> None:
    job = ada.job()

    assert ada.post(f"/training-jobs/{job['id']}/cancel").status_code == 202
    assert ada.get("/training-jobs/quote").json()["error"]["code"] == "JOB_NOT_FOUND"
