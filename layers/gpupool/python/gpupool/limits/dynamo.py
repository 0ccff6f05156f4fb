"""Buckets and quotas in DynamoDB: ``pk = bucket#<name>#<owner>`` and ``pk = quota#<customer>``.

An update expression knows no maximum of two values, so a token is taken in one of two forms: of a bucket that is full, or of
one that is not. Each is one conditional write. Which form applies is guessed from what this process last saw of the bucket;
a wrong guess changes nothing, its refusal brings the row, and the second write is of the right form.
"""

from typing import TYPE_CHECKING, Any

from gpupool.clock import Clock
from gpupool.dynamo import error_code, from_item, to_item
from gpupool.limits.decide import standing, take
from gpupool.limits.model import Admission, Bucket, Quota, Standing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_REMEMBERED = 1024
_TRIES = 4


def quota_key(customer_id: str) -> dict[str, Any]:
    return to_item({"pk": f"quota#{customer_id}"})


def quota_from(customer_id: str, item: dict[str, Any] | None) -> Quota:
    """The quota of an item; nobody's use when there is none yet."""
    from pydantic import TypeAdapter

    if not item:
        return Quota(customer_id)
    row = from_item(item)
    quota: Quota = TypeAdapter(Quota).validate_python(row | {"customer_id": customer_id})
    return quota


def admit_write(table: str, admission: Admission) -> dict[str, Any]:
    """The update that counts a job; refused when meanwhile it does not fit any more, or another day has begun."""
    room_for_it = "(attribute_not_exists(live_jobs) OR size(live_jobs) < :most_jobs)"
    values: dict[str, Any] = {
        ":job": {admission.job_id},
        ":units": admission.units,
        ":day": admission.day.isoformat(),
        ":most_jobs": admission.max_live_jobs,
    }
    if admission.first_of_day:
        change = "#day = :day, units_today = :units"
        same_day = "(attribute_not_exists(#day) OR #day < :day)"
    else:
        change = "units_today = units_today + :units"
        same_day = "#day = :day AND units_today <= :room"
        values[":room"] = admission.max_units_per_day - admission.units
    return {
        "TableName": table,
        "Key": quota_key(admission.customer_id),
        "UpdateExpression": f"SET {change} ADD live_jobs :job",
        "ConditionExpression": f"{room_for_it} AND {same_day}",
        "ExpressionAttributeNames": {"#day": "day"},
        "ExpressionAttributeValues": to_item(values),
    }


def leave_write(table: str, customer_id: str, job_id: str) -> dict[str, Any]:
    """Takes an ended job out; taking it out twice is the same as once."""
    return {
        "TableName": table,
        "Key": quota_key(customer_id),
        "UpdateExpression": "DELETE live_jobs :job",
        "ExpressionAttributeValues": to_item({":job": {job_id}}),
    }


class DynamoLimitStore:
    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._seen: dict[str, int] = {}

    def take(self, owner: str, bucket: Bucket) -> Standing:
        pk = f"bucket#{bucket.name}#{owner}"
        now = int(self._clock.now().timestamp() * 1_000_000)
        known = self._seen.get(pk)
        for _ in range(_TRIES):
            written = self._write(pk, bucket=bucket, now=now, full=known is None or known <= now)
            if written is not None:
                self._remember(pk, written)
                return standing(written, bucket=bucket, now=now)
            known = self._read(pk)
            after, refused = take(known, bucket=bucket, now=now)
            if after is None:
                # Only a row that was read may refuse: what this process remembers may be of another time.
                return refused
        return Standing(bucket.capacity, 0, bucket.period_seconds, retry_after=1)

    def quota(self, customer_id: str) -> Quota:
        answer = self._client.get_item(TableName=self._table, Key=quota_key(customer_id), ConsistentRead=True)
        return quota_from(customer_id, answer.get("Item"))

    def set_maxima(self, customer_id: str, *, live_jobs: int | None, units_per_day: int | None) -> Quota:
        wanted = {"max_live_jobs": live_jobs, "max_units_per_day": units_per_day}
        sets = [f"{name} = :{name}" for name, most in wanted.items() if most is not None]
        removes = [name for name, most in wanted.items() if most is None]
        clauses = [*(["SET " + ", ".join(sets)] if sets else []), *(["REMOVE " + ", ".join(removes)] if removes else [])]
        values: Any = (
            {"ExpressionAttributeValues": to_item({f":{name}": most for name, most in wanted.items()})} if sets else {}
        )
        answer = self._client.update_item(
            TableName=self._table,
            Key=quota_key(customer_id),
            UpdateExpression=" ".join(clauses),
            ReturnValues="ALL_NEW",
            **values,
        )
        return quota_from(customer_id, answer["Attributes"])

    def _write(self, pk: str, *, bucket: Bucket, now: int, full: bool) -> int | None:
        """When the bucket is full after this token; None when it was not as ``full`` says, or holds no token."""
        if full:
            change, condition = ":now + :interval", "attribute_not_exists(full_at) OR full_at <= :now"
            values = {":now": now, ":interval": bucket.interval}
        else:
            change, condition = "full_at + :interval", "full_at > :now AND full_at <= :most"
            values = {":now": now, ":interval": bucket.interval, ":most": now + bucket.period - bucket.interval}
        values[":expires"] = now // 1_000_000 + 2 * bucket.period_seconds
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=to_item({"pk": pk}),
                UpdateExpression=f"SET full_at = {change}, expires_at_epoch = :expires",
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item(values),
                ReturnValues="UPDATED_NEW",
            )
        except Exception as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return None
        return int(from_item(answer["Attributes"])["full_at"])

    def _read(self, pk: str) -> int | None:
        answer = self._client.get_item(TableName=self._table, Key=to_item({"pk": pk}), ConsistentRead=True)
        return int(from_item(answer["Item"])["full_at"]) if "Item" in answer else None

    def _remember(self, pk: str, full_at: int) -> None:
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[pk] = full_at
