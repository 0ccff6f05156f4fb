"""Uploads in DynamoDB: partition ``owner_kind`` (customer and kind), sort key ``id``, whose order is that of creation.

``live_jobs`` is a string set, absent when empty, so that transitions can ADD to it and DELETE from it.
"""

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gpupool.dynamo import exists_on_condition, from_item, stale_on_condition, to_item
from gpupool.pages import Key, Page
from gpupool.uploads.model import Upload, UploadKind, UploadStatus, owner_kind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@cache
def _adapter() -> TypeAdapter[Upload]:
    return TypeAdapter(Upload)


def upload_item(upload: Upload) -> dict[str, Any]:
    row = _adapter().dump_python(upload, mode="json", exclude_none=True)
    return to_item(row | {"owner_kind": upload.owner_kind, "live_jobs": set(upload.live_jobs)})


def upload_from(item: dict[str, Any]) -> Upload:
    return _adapter().validate_python(from_item(item))


def upload_key(customer_id: str, kind: UploadKind, upload_id: str) -> dict[str, Any]:
    return to_item({"owner_kind": owner_kind(customer_id, kind), "id": upload_id})


class DynamoUploadStore:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def add(self, upload: Upload) -> None:
        with exists_on_condition():
            self._client.put_item(
                TableName=self._table, Item=upload_item(upload), ConditionExpression="attribute_not_exists(id)"
            )

    def get(self, customer_id: str, kind: UploadKind, upload_id: str) -> Upload | None:
        key = upload_key(customer_id, kind, upload_id)
        answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return upload_from(answer["Item"]) if "Item" in answer else None

    def page(self, customer_id: str, kind: UploadKind, *, limit: int, key: Key | None) -> Page[Upload]:
        start: Any = {"ExclusiveStartKey": upload_key(customer_id, kind, key["id"])} if key else {}
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="owner_kind = :owner",
            ExpressionAttributeValues=to_item({":owner": owner_kind(customer_id, kind)}),
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit + 1,  # one more, to know whether there is one more
            **start,
        )
        rows = [upload_from(item) for item in answer["Items"]]
        # A page also ends early when it reaches the size that one answer may have.
        more = len(rows) > limit or "LastEvaluatedKey" in answer
        rows = rows[:limit]
        return Page(tuple(rows), {"id": rows[-1].id} if more and rows else None)

    def mark_ready(self, upload: Upload, *, at: datetime, manifest: dict[str, Any] | None) -> Upload:
        values = {":ready": UploadStatus.READY, ":pending": UploadStatus.PENDING, ":at": at.isoformat(), ":manifest": manifest}
        sets = "#status = :ready, finalized_at = :at" + ("" if manifest is None else ", manifest = :manifest")
        with stale_on_condition():
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(upload),
                UpdateExpression=f"SET {sets}",
                ConditionExpression="#status = :pending",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item(values),
                ReturnValues="ALL_NEW",
            )
        return upload_from(answer["Attributes"])

    def mark_deleting(self, upload: Upload) -> None:
        with stale_on_condition():
            self._client.update_item(
                TableName=self._table,
                Key=_key(upload),
                UpdateExpression="SET #status = :deleting",
                ConditionExpression="attribute_exists(id) AND attribute_not_exists(live_jobs)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item({":deleting": str(UploadStatus.DELETING)}),
            )

    def remove(self, upload: Upload) -> None:
        self._client.delete_item(TableName=self._table, Key=_key(upload))


def _key(upload: Upload) -> dict[str, Any]:
    return upload_key(upload.customer_id, upload.kind, upload.id)
