"""Jobs in DynamoDB: partition ``job_id``; two sparse-free indexes list a customer's jobs, all or by status.

``customer_status`` repeats the status inside an index key, so every write that moves the status sets both.

A third index, ``by_watch``, is sparse and holds keys only: the jobs that recovery still looks after. A job enters it when it is
created and leaves it when its end was checked: two index writes in its life. All of it is one partition, which takes 1,000
entries a second.

What a live job has paid for is counted in the table ``progress``, partition ``job_id``: every unit writes there, and a write to
the job's row would copy all of it into both indexes. The end of the job writes the counters into its row.
"""

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.dynamo import Item, from_item, query_page, read_together, start_after, to_item, update_if
from gpupool.jobs.model import LIVE, Job, JobStatus, ReleaseWindow
from gpupool.pages import Key, Page
from gpupool.units.model import Failure

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_WATCHED = "watched"
_ENDED = frozenset(JobStatus) - LIVE


@cache
def _adapter() -> TypeAdapter[Job]:
    return TypeAdapter(Job)


def customer_status(customer_id: str, status: JobStatus) -> str:
    return f"{customer_id}#{status}"


def job_item(job: Job) -> dict[str, Any]:
    row = _adapter().dump_python(job, mode="json", exclude_none=True)
    # A string set, so that one can be added without reading.
    row["fan_outs"] = {str(index) for index in job.fan_outs}
    return to_item(row | {"job_id": job.id, "customer_status": customer_status(job.customer_id, job.status)})


def job_from(item: dict[str, Any]) -> Job:
    """A job from an item, also from the images of a stream record."""
    row = from_item(item)
    fan_outs = [int(index) for index in row.get("fan_outs", ())]
    return _adapter().validate_python(row | {"id": row["job_id"], "fan_outs": fan_outs})


def create_write(table: str, job: Job) -> dict[str, Any]:
    """The put of a new job, which is watched from now on."""
    item = job_item(job) | to_item({"watch": _WATCHED})
    return {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(job_id)"}


def status_condition(statuses: frozenset[JobStatus] = LIVE) -> tuple[str, dict[str, str]]:
    """A condition on ``#status`` and its values."""
    values = {f":is_{status}": str(status) for status in sorted(statuses)}
    return f"#status IN ({', '.join(values)})", values


def _failure_row(failure: Failure) -> dict[str, Any]:
    row: dict[str, Any] = TypeAdapter(Failure).dump_python(failure, mode="json", exclude_none=True)
    return row


def end_write(table: str, job: Job, *, status: JobStatus, failure: Failure | None, at: datetime) -> dict[str, Any]:
    """The update that ends a live job and keeps its counters; refused when it has ended."""
    condition, values = status_condition()
    sets = ["#status = :to", "customer_status = :customer_status", "finished_at = :at"]
    sets += ["units_completed = :completed", "credits_spent = :spent"]
    index_key = customer_status(job.customer_id, status)
    ends: dict[str, Any] = {":to": str(status), ":customer_status": index_key, ":at": at.isoformat()}
    ends |= {":completed": job.units_completed, ":spent": job.credits_spent}
    if failure is not None:
        sets.append("failure = :failure")
        ends[":failure"] = _failure_row(failure)
    return {
        "TableName": table,
        "Key": to_item({"job_id": job.id}),
        "UpdateExpression": f"SET {', '.join(sets)} REMOVE task_token",
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": to_item(values | ends),
    }


def open_count_write(table: str, job_id: str) -> dict[str, Any]:
    """The put of a new job's counters: without them it pays for nothing."""
    row = {"job_id": job_id, "units_completed": 0, "credits_spent": 0}
    return {"TableName": table, "Item": to_item(row), "ConditionExpression": "attribute_not_exists(job_id)"}


def count_write(table: str, job_id: str, *, credits: int, at: datetime) -> dict[str, Any]:
    """The update that counts one paid unit; refused when the job has ended, for its hold is gone."""
    return {
        "TableName": table,
        "Key": to_item({"job_id": job_id}),
        "UpdateExpression": "SET progressed_at = :at ADD units_completed :one, credits_spent :credits",
        "ConditionExpression": "attribute_exists(job_id) AND attribute_not_exists(ended_at)",
        "ExpressionAttributeValues": to_item({":one": 1, ":credits": credits, ":at": at.isoformat()}),
    }


def end_count_write(table: str, job: Job, *, at: datetime) -> dict[str, Any]:
    """The update after which nothing is counted; refused when the job has paid for a unit since ``job`` was read."""
    values = {":at": at.isoformat(), ":completed": job.units_completed, ":spent": job.credits_spent}
    return {
        "TableName": table,
        "Key": to_item({"job_id": job.id}),
        "UpdateExpression": "SET ended_at = :at",
        "ConditionExpression": "units_completed = :completed AND credits_spent = :spent",
        "ExpressionAttributeValues": to_item(values),
    }


def _counted(job: Job, item: Item | None) -> Job:
    """The job with the counters of its ``progress`` item."""
    row = from_item(item or {})
    at = row.get("progressed_at")
    return replace(
        job,
        units_completed=row.get("units_completed", 0),
        credits_spent=row.get("credits_spent", 0),
        progressed_at=datetime.fromisoformat(at) if at else None,
    )


class DynamoJobStore:
    def __init__(self, client: "DynamoDBClient", table: str, *, progress_table: str) -> None:
        self._client = client
        self._table = table
        self._progress_table = progress_table

    def get(self, job_id: str) -> Job | None:
        key = to_item({"job_id": job_id})
        found = read_together(self._client, {"job": (self._table, key), "progress": (self._progress_table, key)})
        if "job" not in found:
            return None
        job = job_from(found["job"])
        return _counted(job, found.get("progress")) if job.is_live else job

    def _row(self, job_id: str) -> Job | None:
        """Without the counters."""
        answer = self._client.get_item(TableName=self._table, Key=to_item({"job_id": job_id}), ConsistentRead=True)
        return job_from(answer["Item"]) if "Item" in answer else None

    def page(self, customer_id: str, *, status: JobStatus | None, limit: int, key: Key | None) -> Page[Job]:
        index, attribute, wanted = "by_customer", "customer_id", customer_id
        if status is not None:
            index, attribute, wanted = "by_customer_status", "customer_status", customer_status(customer_id, status)
        query = {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": "#partition = :wanted",
            "ExpressionAttributeNames": {"#partition": attribute},
            "ExpressionAttributeValues": to_item({":wanted": wanted}),
            "ScanIndexForward": False,
        }
        found = query_page(
            self._client,
            query | start_after(key | {attribute: wanted} if key else None),
            limit=limit,
            read=job_from,
            key_of=lambda job: {"job_id": job.id},
        )
        return replace(found, items=self._all_counted(found.items))

    def _all_counted(self, jobs: tuple[Job, ...]) -> tuple[Job, ...]:
        places = {job.id: (self._progress_table, to_item({"job_id": job.id})) for job in jobs if job.is_live}
        found = read_together(self._client, places)
        return tuple(_counted(job, found.get(job.id)) if job.is_live else job for job in jobs)

    def begin_planning(self, job_id: str) -> Job | None:
        job = self._row(job_id)
        if job is None:
            return None
        return self._move(job, JobStatus.PLANNING, {JobStatus.QUEUED, JobStatus.PLANNING}, [], {})

    def begin_running(self, job_id: str, *, units_total: int, at: datetime) -> Job | None:
        job = self._row(job_id)
        if job is None:
            return None
        # Two that begin at once have both read a job that has not started; the first time stays all the same.
        sets = ["units_total = :units_total", "started_at = if_not_exists(started_at, :at)"]
        facts = {":units_total": units_total, ":at": at.isoformat()}
        return self._move(job, JobStatus.RUNNING, {JobStatus.PLANNING, JobStatus.RUNNING}, sets, facts)

    def park(self, job_id: str, *, task_token: str, entered: str) -> Job | None:
        return self._update(
            job_id,
            expression="SET task_token = :token, parked_at = :entered",
            condition="attribute_exists(job_id) AND (attribute_not_exists(parked_at) OR parked_at <= :entered)",
            names={},
            values={":token": task_token, ":entered": entered},
        )

    def note_failure(self, job_id: str, failure: Failure) -> None:
        self._while_live(job_id, "SET broken = if_not_exists(broken, :failure)", {":failure": _failure_row(failure)})

    def note_fan_out(self, job_id: str, index: int) -> None:
        self._while_live(job_id, "ADD fan_outs :one", {":one": {str(index)}})

    def fanned_out(self, job_id: str, indexes: frozenset[int]) -> None:
        self._update(
            job_id,
            expression="DELETE fan_outs :done",
            condition="attribute_exists(job_id)",
            names={},
            values={":done": {str(index) for index in indexes}},
        )

    def note_window(self, job_id: str, window: ReleaseWindow) -> None:
        row = TypeAdapter(ReleaseWindow).dump_python(window, mode="json", exclude_none=True)
        condition, live = status_condition()
        self._update(
            job_id,
            expression="SET #window = :window",
            condition=condition,
            names={"#status": "status", "#window": "window"},
            values=live | {":window": row},
        )

    def hand_over(self, job_id: str, *, generation: int) -> None:
        self._update(
            job_id,
            expression="SET generation = :generation",
            condition="generation < :generation",
            names={},
            values={":generation": generation},
        )

    def begin_closing(self, job_id: str) -> None:
        self._while_live(job_id, "SET closing = :true", {":true": True})

    def request_cancel(self, job_id: str, *, at: datetime) -> Job | None:
        expression = "SET cancel_requested_at = if_not_exists(cancel_requested_at, :at)"
        return self._while_live(job_id, expression, {":at": at.isoformat()})

    def _while_live(self, job_id: str, expression: str, values: dict[str, Any]) -> Job | None:
        condition, live = status_condition()
        return self._update(
            job_id, expression=expression, condition=condition, names={"#status": "status"}, values=live | values
        )

    def watched(self, *, limit: int) -> tuple[str, ...]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="by_watch",
            KeyConditionExpression="watch = :watched",
            ExpressionAttributeValues=to_item({":watched": _WATCHED}),
            PaginationConfig={"MaxItems": limit},
        )
        return tuple(str(from_item(item)["job_id"]) for page in pages for item in page["Items"])

    def unwatch(self, job_id: str) -> None:
        condition, values = status_condition(_ENDED)
        self._update(job_id, expression="REMOVE watch", condition=condition, names={"#status": "status"}, values=values)

    def _move(self, job: Job, to: JobStatus, allowed: set[JobStatus], sets: list[str], facts: dict[str, Any]) -> Job | None:
        """Of ``job`` only what never changes may be used: another writer may have been faster since it was read."""
        condition, values = status_condition(frozenset(allowed))
        sets = ["#status = :to", "customer_status = :customer_status", *sets]
        values |= {":to": str(to), ":customer_status": customer_status(job.customer_id, to)}
        return self._update(
            job.id,
            expression="SET " + ", ".join(sets),
            condition=f"{condition} AND closing = :open",
            names={"#status": "status"},
            values=values | facts | {":open": False},
        )

    def _update(
        self, job_id: str, *, expression: str, condition: str, names: dict[str, str], values: dict[str, Any]
    ) -> Job | None:
        optional: Any = {"ExpressionAttributeNames": names} if names else {}
        item = update_if(
            self._client,
            TableName=self._table,
            Key=to_item({"job_id": job_id}),
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeValues=to_item(values),
            **optional,
        )
        return job_from(item) if item is not None else None
