"""The published document: complete, derived from the code, and true to its own examples."""

import json
from typing import Any

import jsonschema_rs
import pytest

from functions.customer_api import publish, shapes
from functions.customer_api.reference import NOTES, TAGS
from functions.customer_api.reference.errors import CODES
from tests.support.customer_door import document, operations

OPERATIONS = {operation["operationId"]: (method, path, operation) for method, path, operation in operations()}


def examples() -> list[Any]:
    """Every example of a body or an answer with the schema that it has to fit."""
    found = []
    for name, (_, _, operation) in OPERATIONS.items():
        contents = {"body": operation.get("requestBody", {}).get("content", {})}
        contents |= {status: answer.get("content", {}) for status, answer in operation["responses"].items() if status < "400"}
        for where, content in contents.items():
            for media_type, told in content.items():
                found += [
                    pytest.param(told["schema"], example["value"], id=f"{name}-{where}-{media_type}-{key}")
                    for key, example in told.get("examples", {}).items()
                ]
    return found


def test_it_is_openapi_3_1_and_starts_from_one_place() -> None:
    assert document()["openapi"] == "3.1.0"
    assert document()["info"]["version"] == "v1-alpha"
    assert {path for path in document()["paths"] if not path.startswith("/api/v1/customer/")} == set()


def test_every_operation_has_words_a_name_and_a_section() -> None:
    for name, (_, _, operation) in OPERATIONS.items():
        assert operation["summary"], name
        assert operation.get("description"), f"{name} needs a docstring"
        assert set(operation["tags"]) <= set(TAGS), f"{name}: describe its tag in TAGS of its module in reference/"
    assert len(OPERATIONS) == sum(len(methods) for methods in document()["paths"].values())


def test_every_operation_has_a_note_and_every_note_an_operation() -> None:
    assert set(NOTES) == set(OPERATIONS) == set(shapes.ANSWERS)


def test_every_body_and_every_answer_has_an_example() -> None:
    missing = []
    for name, (_, _, operation) in OPERATIONS.items():
        contents = [operation["requestBody"]["content"]] if "requestBody" in operation else []
        contents += [answer["content"] for answer in operation["responses"].values() if "content" in answer]
        missing += [name for content in contents for told in content.values() if not told.get("examples")]
    assert missing == [], "give Note.sends and Note.answers in reference/"


@pytest.mark.parametrize(("schema", "example"), examples())
def test_an_example_fits_its_schema(schema: dict[str, Any], example: Any) -> None:
    jsonschema_rs.Draft202012Validator({**schema, "components": document()["components"]}).validate(example)


def test_every_status_is_told_by_itself_and_every_refusal_shows_its_codes() -> None:
    for name, (_, _, operation) in OPERATIONS.items():
        for status, answer in operation["responses"].items():
            assert status.isdigit(), name
            assert {"X-Request-Id", "X-RateLimit-Remaining"} <= set(answer["headers"]), name
            if status < "400":
                continue
            codes = answer["content"]["application/json"]["examples"]
            assert {CODES[code].status for code in codes} == {int(status)}, name


def test_statuses_follow_from_what_a_route_asks_for() -> None:
    for name, (_, path, operation) in OPERATIONS.items():
        statuses = set(operation["responses"])
        assert {"429", "500"} <= statuses, name
        assert {"Retry-After", "X-RateLimit-Reset"} <= set(operation["responses"]["429"]["headers"]), name
        if operation["security"]:
            assert "401" in statuses, name
        if any("ApiKey" in way for way in operation["security"]):
            assert "403" in statuses, name
        if "{" in path:
            assert "404" in statuses, f"{name}: name the code of its 404 in Note.refuses"
        if "requestBody" in operation:
            assert "400" in statuses, name


def test_what_takes_an_idempotency_key_says_how_it_repeats() -> None:
    taking = [
        operation
        for _, _, operation in OPERATIONS.values()
        if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
    ]
    assert taking
    for operation in taking:
        success = next(answer for status, answer in operation["responses"].items() if status < "300")
        assert "Idempotent-Replayed" in success["headers"]
        assert "IDEMPOTENCY_CONFLICT" in operation["responses"]["409"]["content"]["application/json"]["examples"]


def test_links_lead_from_what_is_made_to_what_can_be_done_with_it() -> None:
    created = OPERATIONS["createTrainingJob"][2]["responses"]["201"]["links"]
    assert set(created) >= {"getTrainingJob", "cancelTrainingJob", "listComputeUnits", "listArtifacts"}
    assert created["getTrainingJob"]["parameters"] == {"job_id": "$response.body#/id"}
    listed = OPERATIONS["listArtifacts"][2]["responses"]["200"]["links"]["createDownloadUrl"]
    assert listed["parameters"] == {"job_id": "$request.path.job_id", "artifact_id": "$response.body#/data/0/id"}
    assert set(OPERATIONS["createDataset"][2]["responses"]["201"]["links"]) >= {
        "getDataset",
        "finalizeDataset",
        "deleteDataset",
    }


def test_every_reference_leads_somewhere() -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                found: Any = document()
                for step in reference.removeprefix("#/").split("/"):
                    found = found[step]
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(document())
    assert "HTTPValidationError" not in str(document())


def test_credentials_are_those_of_the_routes() -> None:
    assert OPERATIONS["createTrainingJob"][2]["security"] == [{"ApiKey": ["training:write"]}, {"Session": []}]
    assert OPERATIONS["createApiKey"][2]["security"] == [{"Session": []}]
    assert OPERATIONS["getConfig"][2]["security"] == []


def test_what_docs_keep_is_what_the_code_says() -> None:
    stale = [name for name, text in publish.generated().items() if (publish.DOCS / name).read_text() != text]
    assert stale == [], f"run `{publish.COMMAND}`"


def test_the_document_is_json_that_any_reader_takes() -> None:
    assert json.loads(publish.generated()["openapi.json"]) == document()
