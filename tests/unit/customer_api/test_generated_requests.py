"""Requests made from the published document: one operation at a time, and along its links.

No answer may be a fault, a status or a media type that the document does not tell, or a body that does not fit it.
"""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
    use_after_free,
)

from functions.customer_api.app import create_app
from functions.customer_api.routes import PREFIX
from tests.support.customer_door import operations
from tests.support.open_house import OpenHouse

CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
# The same requests in every run: a failure is found again.
_REPEATABLE: dict[str, Any] = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
}


def _warm() -> OpenHouse:
    """Hypothesis draws from the constants of what is imported, so everything has to be there before it begins."""
    house = OpenHouse()
    house.follow("createTrainingJob", house.visitor.job())
    return house


class _Stage:
    """Who stands behind the app at the moment."""

    house = _warm()


# Made-up credentials would only ever be refused, and by their sort the walks would not get far.
_CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {"with-security-parameters": False},
        # Walks go where our links lead, with requests that can succeed; what cannot is asked of each operation by itself.
        "phases": {"stateful": {"generation": {"mode": "positive"}, "inference": {"algorithms": []}}},
    }
)
schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", create_app(lambda: _Stage.house.door.core), config=_CONFIG)


@pytest.fixture(scope="module", autouse=True)
def _fresh_house() -> None:
    _Stage.house = OpenHouse()


@schema.parametrize()
@settings(max_examples=12, phases=[Phase.explicit, Phase.generate], **_REPEATABLE)
def test_each_operation_answers_as_documented(case: schemathesis.Case) -> None:
    case.call_and_validate(headers=_Stage.house.headers, checks=CHECKS)


def _name(case: schemathesis.Case) -> str:
    return str(case.operation.definition.raw["operationId"])


def _links() -> dict[str, set[str]]:
    """The linked operations by room: the first part of the path, below which links stay."""
    found: dict[str, set[str]] = {}
    for _, path, operation in operations():
        linked = {name for answer in operation["responses"].values() for name in answer.get("links", {})}
        found.setdefault(path.removeprefix(f"{PREFIX}/").partition("/")[0], set()).update(linked)
    return {room: linked for room, linked in found.items() if linked}


def _walk(room: str) -> tuple[type[schemathesis.stateful.APIStateMachine], set[str]]:
    """A client that follows the links of a room: what one answer tells is what the next request asks for. And where it came."""
    came: set[str] = set()

    class Walk(schema.include(path_regex=f"^{PREFIX}/{room}(/|$)").as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            _Stage.house = OpenHouse()

        def before_call(self, case: schemathesis.Case) -> None:
            case.body = _Stage.house.prepare(_name(case), case.body)

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"headers": _Stage.house.headers}

        def after_call(self, response: Response, case: schemathesis.Case) -> None:
            if response.status_code < 300:
                came.add(_name(case))
                if response.content and "json" in response.headers["content-type"][0]:
                    _Stage.house.follow(_name(case), response.json())

        def validate_response(self, response: Response, case: schemathesis.Case, *_: Any, **__: Any) -> None:
            case.validate_response(response, checks=[*CHECKS, use_after_free], recorder=self.recorder)

    return Walk, came


@pytest.mark.parametrize("room", sorted(_links()))
def test_walks_along_the_links_answer_as_documented(room: str) -> None:
    walk, came = _walk(room)
    # More steps would come near the size at which Hypothesis cuts its examples short, and cuts are not repeatable.
    walk.run(
        settings=settings(
            max_examples=20 + 30 * len(_links()[room]), stateful_step_count=6, phases=[Phase.generate], **_REPEATABLE
        )
    )

    print(f"walks in {room}: came to {len(_links()[room] & came)} of {len(_links()[room])} linked operations")
    assert _links()[room] - came == set(), "no walk came there with success; see OpenHouse.prepare and follow"
