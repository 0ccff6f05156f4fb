"""Units in DynamoDB: partition ``job_id``, sort ``unit_id``; every write is conditional on the version or the lease."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.dynamo import (
    Row,
    exists_on_condition,
    from_item,
    query_page,
    stale_on_condition,
    start_after,
    to_item,
    update_if,
    value,
)
from gpupool.errors import AlreadyExists
from gpupool.ids import job_of
from gpupool.objects.store import to_base64, to_hex
from gpupool.pages import Key, Page
from gpupool.units.edges import Gate, gate_of, in_full, in_short
from gpupool.units.model import Output, Unit, UnitStatus
from gpupool.wire.units import Lease, Progress

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_INDEXES = ("needs", "dependents", "gathered_by")
# Most rows have none of these; an absent one is read as empty.
_OFTEN_EMPTY = ("metrics", "outputs", "faults")
_HOLDS = "#status = :running AND attempt = :attempt AND #lease.#token = :token AND #lease.deadline >= :until"


@cache
def _adapter() -> TypeAdapter[Unit]:
    return TypeAdapter(Unit)


def unit_item(unit: Unit) -> dict[str, Any]:
    """A unit as an item; open needs are a string set so that one can be removed without reading.

    Its size is money: a write costs one unit per begun kilobyte. The row of a running unit is to stay below one, and so is that
    of one that left the usual three files.
    """
    row = _adapter().dump_python(unit, mode="json", exclude_none=True)
    row["unit_id"] = row.pop("id")
    row["outputs"] = [_output_row(output) for output in unit.outputs]
    row |= {name: row[name] or None for name in _OFTEN_EMPTY}
    row["open_needs"] = {str(need) for need in unit.open_needs}
    row |= {name: in_short(getattr(unit, name)) or None for name in _INDEXES}
    # As text: DynamoDB has one number type and would hand the script 1 for 1.0.
    row["work"]["parameters"] = json.dumps(unit.work.parameters)
    if unit.lease is not None:
        # As a number: a condition compares it, and times as text do not compare when their fractions differ in length.
        row["lease"]["deadline"] = unit.lease.deadline.timestamp()
    return to_item(row)


def unit_from(item: dict[str, Any]) -> Unit:
    """A unit from an item, also from the images of a stream record."""
    row: Row = from_item(item)
    row["id"] = row.pop("unit_id")
    row["work"]["parameters"] = json.loads(row["work"]["parameters"])
    row["open_needs"] = [int(need) for need in row.get("open_needs", ())]
    row |= {name: in_full(row.get(name, "")) for name in _INDEXES}
    row["outputs"] = [_output_fields(kept) for kept in row.get("outputs", ())]
    if "lease" in row:
        row["lease"]["deadline"] = datetime.fromtimestamp(row["lease"]["deadline"], UTC)
    return _adapter().validate_python(row)


def _output_row(output: Output) -> list[Any]:
    """Without the names of its fields, and with the shorter form of its digest: 45 bytes less of about 110."""
    return [output.name, str(output.kind), output.size_bytes, to_base64(output.sha256)]


def _output_fields(kept: list[Any] | dict[str, Any]) -> dict[str, Any]:
    """Also of the form with names, which rows had at first."""
    if isinstance(kept, dict):
        return kept
    name, kind, size_bytes, digest = kept
    return {"name": name, "kind": kind, "size_bytes": size_bytes, "sha256": to_hex(digest)}


def unit_key(unit_id: str) -> dict[str, Any]:
    return to_item({"job_id": job_of(unit_id), "unit_id": unit_id})


def _gate_key(unit_id: str, number: int) -> dict[str, Any]:
    return to_item({"unit_id": unit_id, "gate": f"{number:05d}"})


def replace_write(table: str, unit: Unit) -> dict[str, Any]:
    """The conditional put of ``unit`` over its own version, with the next version inside."""
    return {
        "TableName": table,
        "Item": unit_item(replace(unit, version=unit.version + 1)),
        "ConditionExpression": "#version = :version",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":version": value(unit.version)},
    }


class DynamoUnitStore:
    def __init__(self, client: "DynamoDBClient", table: str, *, gates_table: str) -> None:
        self._client = client
        self._table = table
        self._gates_table = gates_table

    def add_all(self, units: tuple[Unit, ...]) -> None:
        for unit in units:
            with suppress(AlreadyExists), exists_on_condition():
                self._client.put_item(
                    TableName=self._table,
                    Item=unit_item(unit),
                    ConditionExpression="attribute_not_exists(job_id)",
                )

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

    def renew(self, unit_id: str, *, lease: Lease, now: datetime, expires_at: datetime, progress: Progress) -> Unit | None:
        renewed = self._beat(unit_id, lease, expires_at, progress)
        if renewed is not None:
            return renewed
        # Lost, over, or so near to its deadline that only what is left can be given; a deadline never changes.
        unit = self.get(unit_id)
        held = unit.lease if unit is not None and unit.attempt == lease.attempt else None
        if held is None or held.token != lease.lease_token or held.deadline <= now:
            return None
        return self._beat(unit_id, lease, min(expires_at, held.deadline), progress)

    def _beat(self, unit_id: str, lease: Lease, expires_at: datetime, progress: Progress) -> Unit | None:
        """One conditional renewal; None when the lease is lost or ``expires_at`` is beyond its deadline."""
        sets = ["#lease.expires_at = :expires", "progress_stage = :stage", "#metrics = :metrics"]
        if progress.fraction is not None:
            sets.append("progress_fraction = :fraction")
        values = {
            ":expires": expires_at.isoformat(),
            ":until": expires_at.timestamp(),
            ":stage": progress.stage,
            ":metrics": dict(progress.metrics),
            ":fraction": progress.fraction,
            ":running": "running",
            ":attempt": lease.attempt,
            ":token": lease.lease_token,
            ":one": 1,
        }
        item = update_if(
            self._client,
            TableName=self._table,
            Key=unit_key(unit_id),
            UpdateExpression=f"SET {', '.join(sets)} ADD #version :one",
            ConditionExpression=_HOLDS,
            ExpressionAttributeNames={
                "#lease": "lease",
                "#metrics": "metrics",
                "#status": "status",
                "#token": "token",
                "#version": "version",
            },
            ExpressionAttributeValues=to_item(values),
        )
        return unit_from(item) if item is not None else None

    def open_edge(self, unit_id: str, *, need: int, now: datetime) -> Unit:
        return self._queue_if_last(unit_id, need, now) or self._take_out(unit_id, need)

    def _queue_if_last(self, unit_id: str, need: int, now: datetime) -> Unit | None:
        """Most units wait for one need, and then one write does it all; None when this one does not."""
        values = {
            ":last": {str(need)},
            ":waiting": str(UnitStatus.WAITING),
            ":queued": str(UnitStatus.QUEUED),
            ":now": now.isoformat(),
            ":one": 1,
        }
        item = update_if(
            self._client,
            TableName=self._table,
            Key=unit_key(unit_id),
            UpdateExpression="SET #status = :queued, queued_at = :now REMOVE open_needs ADD #version :one",
            ConditionExpression="#status = :waiting AND open_needs = :last",
            ExpressionAttributeNames={"#status": "status", "#version": "version"},
            ExpressionAttributeValues=to_item(values),
        )
        return unit_from(item) if item is not None else None

    def _take_out(self, unit_id: str, need: int) -> Unit:
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

    def add_gates(self, gates: tuple[Gate, ...]) -> None:
        for gate in gates:
            row = {"open_needs": {str(need) for need in gate.open_needs}}
            with suppress(AlreadyExists), exists_on_condition():
                self._client.put_item(
                    TableName=self._gates_table,
                    Item=to_item(row) | _gate_key(gate.unit_id, gate.number),
                    ConditionExpression="attribute_not_exists(unit_id)",
                )

    def open_gate(self, unit_id: str, *, need: int) -> bool:
        answer = self._client.update_item(
            TableName=self._gates_table,
            Key=_gate_key(unit_id, gate_of(need)),
            UpdateExpression="DELETE open_needs :need",
            ConditionExpression="attribute_exists(unit_id)",
            ExpressionAttributeValues=to_item({":need": {str(need)}}),
            ReturnValues="ALL_NEW",
        )
        return not from_item(answer["Attributes"]).get("open_needs")

    def _query(self, job_id: str) -> Any:
        return {
            "TableName": self._table,
            "KeyConditionExpression": "job_id = :job",
            "ExpressionAttributeValues": to_item({":job": job_id}),
            "ConsistentRead": True,
        }
