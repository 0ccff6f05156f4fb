"""Requests made from the published document: one operation at a time, and along its links.

No answer may be a fault, a status or a media type that the document does not tell, or a body that does not fit it.
"""

import os
import re
from itertools import product
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
# Set, it says how many walks there are, other ones every time: a search that takes as long as it is given.
SEARCH = os.environ.get("WALK_EXAMPLES")
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


def _linked() -> dict[str, dict[str, str]]:
    """The linked operations and their paths by room: the first part of the path, below which links stay."""
    paths = {operation["operationId"]: path for _, path, operation in operations()}
    found: dict[str, dict[str, str]] = {}
    for _, path, operation in operations():
        names = {name for answer in operation["responses"].values() for name in answer.get("links", {})}
        found.setdefault(_room(path), {}).update({name: paths[name] for name in sorted(names)})
    return {room: linked for room, linked in found.items() if linked}


def _room(path: str) -> str:
    return path.removeprefix(f"{PREFIX}/").partition("/")[0]


def _way_to(path: str) -> str:
    """A pattern of the paths that ``path`` begins with, and of itself: with what is there, one comes to it."""
    parts = path.removeprefix(PREFIX).split("/")[1:]
    return f"^({'|'.join(re.escape(PREFIX + '/' + '/'.join(parts[:end])) for end in range(1, len(parts) + 1))})$"


def _walk(paths: str, came: set[str]) -> type[schemathesis.stateful.APIStateMachine]:
    """A client that follows the links among such paths: what one answer tells is what the next request asks for.

    Where it came with success is added to ``came``.
    """

    class Walk(schema.include(path_regex=paths).as_state_machine()):  # type: ignore[misc]
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

    return Walk


def _go(paths: str, came: set[str], *, walks: int) -> None:
    how = _REPEATABLE | ({"max_examples": int(SEARCH), "derandomize": False} if SEARCH else {"max_examples": walks})
    # More steps would come near the size at which Hypothesis cuts its examples short, and cuts are not repeatable.
    _walk(paths, came).run(settings=settings(stateful_step_count=6, phases=[Phase.generate], **how))


@pytest.mark.parametrize("room", sorted(_linked()))
def test_walks_along_the_links_answer_as_documented(room: str) -> None:
    linked = _linked()[room]
    came: set[str] = set()
    _go(f"^{PREFIX}/{room}(/|$)", came, walks=8 + 8 * len(linked))
    # Where several answers have to follow from each other, few walks come by chance; and ids, which are never the same, decide
    # with it how long a walk is.
    for walks, (name, path) in product((30, 90, 270), linked.items()):
        if name not in came:
            _go(_way_to(path), came, walks=walks)

    print(f"walks in {room}: came to {len(linked.keys() & came)} of {len(linked)} linked operations")
    assert linked.keys() - came == set(), "no walk came there with success; see OpenHouse.prepare and follow"
