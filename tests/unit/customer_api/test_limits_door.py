"""Limits at the door: every answer tells them, and who exceeds them is told when to come back."""

import pytest

from gpupool.accounts.model import Scope
from tests.support.asgi import AsgiClient
from tests.support.customer_door import PASSWORD, Door, Visitor

LEFT = "x-ratelimit-remaining"


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def ada(door: Door) -> Visitor:
    return door.customer(scopes=tuple(Scope))


def test_every_answer_costs_a_token_of_the_customer_whatever_it_is(door: Door, ada: Visitor) -> None:
    answers = [ada.get("/training-jobs"), ada.get("/nowhere"), ada.send("PUT", "/datasets"), ada.post("/datasets", {})]
    assert [answer.status_code for answer in answers] == [200, 404, 405, 400]
    assert [answer.headers[LEFT] for answer in answers] == ["599", "598", "597", "596"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"600"}
    assert door.stranger().get("/config").headers[LEFT] == "599"


def test_two_keys_of_one_customer_share_a_bucket(door: Door, ada: Visitor) -> None:
    ada.get("/training-jobs")
    other = Visitor(door, ada.id, door.key(ada.id, tuple(Scope)))
    assert other.get("/training-jobs").headers[LEFT] == "598"


def test_the_eleventh_training_job_within_a_minute_waits(door: Door, ada: Visitor) -> None:
    answers = [ada.post("/training-jobs", {}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429]
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "RATE_LIMITED"
    assert (refused.headers["retry-after"], refused.headers["x-ratelimit-limit"], refused.headers[LEFT]) == ("6", "10", "0")
    assert ada.get("/training-jobs").status_code == 200

    door.ports.clock.advance(6)

    assert ada.post("/training-jobs", {}).status_code == 400


def test_the_fourth_live_job_waits_until_one_has_ended(door: Door, ada: Visitor) -> None:
    request = ada.job_request()
    made = [ada.post("/training-jobs", request) for _ in range(4)]
    assert [answer.status_code for answer in made] == [201, 201, 201, 429]
    assert made[-1].json()["error"]["code"] == "RATE_LIMITED"
    assert made[-1].json()["error"]["details"]["live_jobs"] == 3
    assert made[-1].headers["retry-after"]
    assert len(door.world.jobs) == 3


def test_the_days_units_run_out(door: Door, ada: Visitor) -> None:
    door.ports.limits.set_maxima(ada.id, live_jobs=None, units_per_day=5)
    request = ada.job_request()
    answers = [ada.post("/training-jobs", request) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 429]
    error = answers[1].json()["error"]
    assert (error["code"], error["details"]["units_per_day"]) == ("DAILY_TASK_LIMIT_EXCEEDED", 5)
    assert int(answers[1].headers["retry-after"]) <= 86_400


def test_guessing_passwords_is_slow_from_one_address_and_for_one_account(door: Door, ada: Visitor) -> None:
    wrong = {"email": "ada@example.com", "password": "guess"}
    answers = [door.stranger().post("/auth/login", wrong) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]

    elsewhere = AsgiClient(door.app, client=("192.0.2.99", 1))
    refused = elsewhere.post("/api/v1/customer/auth/login", json={"email": "ADA@example.com", "password": PASSWORD})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
    assert refused.headers["retry-after"]
    assert elsewhere.post("/api/v1/customer/auth/login", json=wrong | {"email": "bob@example.com"}).status_code == 401


def test_a_wrong_key_is_counted_by_address(door: Door) -> None:
    stranger = Visitor(door, "", {"x-api-key": "sk_alpha_" + "0" * 24})
    assert [stranger.get("/training-jobs").headers[LEFT] for _ in range(2)] == ["599", "598"]
    assert stranger.get("/config").status_code == 200


def test_public_answers_may_be_kept(door: Door) -> None:
    first = door.stranger().get("/config")
    again = door.stranger().get("/config", headers={"if-none-match": first.headers["etag"]})
    assert (first.headers["cache-control"], again.status_code, again.content) == ("public, max-age=300", 304, b"")
    assert first.json()["limits"] == {
        "requests_per_minute": 600,
        "training_jobs_per_minute": 10,
        "live_training_jobs": 3,
        "compute_units_per_day": 200,
    }
    assert first.json()["capability_classes"][0] == {"name": "cpu", "min_vram_mb": 0, "credits_per_minute": 1}
