"""Units in DynamoDB: partition ``job_id``, sort ``unit_id``; every write is conditional on the version or the lease."""

import json
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.dynamo import Row, error_code, from_item, query_page, stale_on_condition, start_after, to_item, value
from gpupool.ids import job_of
from gpupool.pages import Key, Page
from gpupool.units.model import Unit
from gpupool.wire.units import Lease, Progress

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@cache
def _adapter() -> TypeAdapter[Unit]:
    return TypeAdapter(Unit)


def unit_item(unit: Unit) -> dict[str, Any]:
    """A unit as an item; open needs are a string set so that one can be removed without reading."""
    row = _adapter().dump_python(unit, mode="json", exclude_none=True)
    row["open_needs"] = {str(need) for need in unit.open_needs}
    # As text: DynamoDB has one number type and would hand the script 1 for 1.0.
    row["work"]["parameters"] = json.dumps(unit.work.parameters)
    return to_item(row)


def unit_from(item: dict[str, Any]) -> Unit:
    """A unit from an item, also from the images of a stream record."""
    row: Row = from_item(item)
    row["work"]["parameters"] = json.loads(row["work"]["parameters"])
    row["open_needs"] = [int(need) for need in row.get("open_needs", ())]
    return _adapter().validate_python(row)


def unit_key(unit_id: str) -> dict[str, Any]:
    return to_item({"job_id": job_of(unit_id), "unit_id": unit_id})


def replace_write(table: str, unit: Unit) -> dict[str, Any]:
    """The conditional put of ``unit`` over its own version, with the next version inside."""
    return {
        "TableName": table,
        "Item": unit_item(replace(unit, version=unit.version + 1)) | unit_key(unit.id),
        "ConditionExpression": "#version = :version",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":version": value(unit.version)},
    }


class DynamoUnitStore:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def add_all(self, units: tuple[Unit, ...]) -> None:
        for unit in units:
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=unit_item(unit) | unit_key(unit.id),
                    ConditionExpression="attribute_not_exists(job_id)",
                )
            except Exception as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise

    def get(self, unit_id: str) -> Unit | None:
        answer = self._client.get_item(TableName=self._table, Key=unit_key(unit_id), ConsistentRead=True)
        return unit_from(answer["Item"]) if "Item" in answer else None

    def all_of(self, job_id: str) -> tuple[Unit, ...]:
        pages = self._client.get_paginator("query").paginate(**self._query(job_id))
        return tuple(unit_from(item) for page in pages for item in page["Items"])

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Unit]:
        return query_page(
            self._client,
            self._query(job_id) | start_after(key),
            limit=limit,
            read=unit_from,
            key_of=lambda unit: {"job_id": unit.job_id, "unit_id": unit.id},
        )

    def replace(self, unit: Unit) -> Unit:
        with stale_on_condition():
            self._client.put_item(**replace_write(self._table, unit))
        return replace(unit, version=unit.version + 1)

    def renew(self, unit_id: str, *, lease: Lease, expires_at: datetime, progress: Progress) -> Unit | None:
        sets = ["#lease.expires_at = :expires", "progress_stage = :stage", "#metrics = :metrics"]
        if progress.fraction is not None:
            sets.append("progress_fraction = :fraction")
        values = {
            ":expires": expires_at.isoformat(),
            ":stage": progress.stage,
            ":metrics": dict(progress.metrics),
            ":fraction": progress.fraction,
            ":running": "running",
            ":attempt": lease.attempt,
            ":token": lease.lease_token,
            ":one": 1,
        }
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=unit_key(unit_id),
                UpdateExpression=f"SET {', '.join(sets)} ADD #version :one",
                ConditionExpression="#status = :running AND attempt = :attempt AND #lease.#token = :token",
                ExpressionAttributeNames={
                    "#lease": "lease",
                    "#metrics": "metrics",
                    "#status": "status",
                    "#token": "token",
                    "#version": "version",
                },
                ExpressionAttributeValues=to_item(values),
                ReturnValues="ALL_NEW",
            )
        except Exception as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return None
            raise
        return unit_from(answer["Attributes"])

    def open_edge(self, unit_id: str, *, need: int) -> Unit:
        answer = self._client.update_item(
            TableName=self._table,
            Key=unit_key(unit_id),
            UpdateExpression="DELETE open_needs :need ADD #version :one",
            ConditionExpression="attribute_exists(job_id)",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues=to_item({":need": {str(need)}, ":one": 1}),
            ReturnValues="ALL_NEW",
        )
        return unit_from(answer["Attributes"])

    def _query(self, job_id: str) -> Any:
        return {
            "TableName": self._table,
            "KeyConditionExpression": "job_id = :job",
            "ExpressionAttributeValues": to_item({":job": job_id}),
            "ConsistentRead": True,
        }
