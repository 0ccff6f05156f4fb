"""Artifacts in DynamoDB: partition ``job_id``, sort ``artifact_id``, which begins with the unit's id."""

from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.artifacts.model import Artifact
from gpupool.dynamo import from_item, query_page, start_after, to_item
from gpupool.ids import job_of
from gpupool.pages import Key, Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@cache
def _adapter() -> TypeAdapter[Artifact]:
    return TypeAdapter(Artifact)


def _artifact_from(item: dict[str, Any]) -> Artifact:
    row = from_item(item)
    return _adapter().validate_python(row | {"id": row["artifact_id"]})


def artifact_write(table: str, artifact: Artifact) -> dict[str, Any]:
    """The put of one artifact; repeating it writes the same item."""
    row = _adapter().dump_python(artifact, mode="json") | {"artifact_id": artifact.id}
    return {"TableName": table, "Item": to_item(row)}


class DynamoArtifactStore:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def put(self, artifacts: tuple[Artifact, ...]) -> None:
        for artifact in artifacts:
            self._client.put_item(**artifact_write(self._table, artifact))

    def get(self, job_id: str, artifact_id: str) -> Artifact | None:
        key = to_item({"job_id": job_id, "artifact_id": artifact_id})
        answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return _artifact_from(answer["Item"]) if "Item" in answer else None

    def of_unit(self, unit_id: str) -> tuple[Artifact, ...]:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="job_id = :job AND begins_with(artifact_id, :prefix)",
            ExpressionAttributeValues=to_item({":job": job_of(unit_id), ":prefix": f"{unit_id}."}),
            ConsistentRead=True,
        )
        return tuple(_artifact_from(item) for item in answer["Items"])

    def of_units(self, first_id: str, last_id: str) -> tuple[Artifact, ...]:
        # What follows a unit's id begins with a dot, and the character after the dot is the slash.
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="job_id = :job AND artifact_id BETWEEN :first AND :last",
            ExpressionAttributeValues=to_item({":job": job_of(first_id), ":first": f"{first_id}.", ":last": f"{last_id}/"}),
            ConsistentRead=True,
        )
        return tuple(_artifact_from(item) for page in pages for item in page["Items"])

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Artifact]:
        query = {
            "TableName": self._table,
            "KeyConditionExpression": "job_id = :job",
            "ExpressionAttributeValues": to_item({":job": job_id}),
            "ConsistentRead": True,
        }
        return query_page(
            self._client,
            query | start_after(key),
            limit=limit,
            read=_artifact_from,
            key_of=lambda artifact: {"job_id": artifact.job_id, "artifact_id": artifact.id},
        )
