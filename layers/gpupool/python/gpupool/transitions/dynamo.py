"""The transitions in DynamoDB: one ``TransactWriteItems`` each, built from the writes that the rooms describe."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpupool.dynamo import cancellation_codes, error_code, read_together, to_item
from gpupool.errors import StaleWrite
from gpupool.idempotency.dynamo import first_use_write, record_from
from gpupool.idempotency.model import IdempotencyRecord
from gpupool.jobs.dynamo import count_write, create_write, end_count_write, end_write, open_count_write
from gpupool.jobs.model import Job
from gpupool.ledger.dynamo import balance_write, entry_write
from gpupool.ledger.model import Transfer
from gpupool.limits.dynamo import admit_write, leave_write, quota_from, quota_key
from gpupool.limits.model import Admission
from gpupool.transitions.store import Ending, Obstacle, Seen, SubmitRefused, Wanted
from gpupool.units.model import Unit
from gpupool.uploads.dynamo import upload_from, upload_key
from gpupool.uploads.model import UploadKind, UploadStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Write = dict[str, Any]

_CONDITION_FAILED = "ConditionalCheckFailed"
_HOPELESS = frozenset({"ValidationError", "ItemCollectionSizeLimitExceeded"})


@dataclass(frozen=True, slots=True)
class Tables:
    """Names of the tables that transitions touch; a function that lacks one cannot make that transition."""

    jobs: str
    progress: str
    ledger: str
    uploads: str
    idempotency: str
    limits: str


class DynamoTransitions:
    def __init__(self, client: "DynamoDBClient", tables: Tables) -> None:
        self._client = client
        self._tables = tables

    def look(self, wanted: Wanted) -> Seen:
        places = {
            "dataset": (self._tables.uploads, upload_key(wanted.customer_id, UploadKind.DATASET, wanted.dataset_id)),
            "package": (self._tables.uploads, upload_key(wanted.customer_id, UploadKind.TRAINING_PACKAGE, wanted.package_id)),
            "quota": (self._tables.limits, quota_key(wanted.customer_id)),
        }
        if wanted.record_id is not None:
            places["record"] = (self._tables.idempotency, to_item({"pk": wanted.record_id}))
        found = read_together(self._client, places)
        dataset, package = found.get("dataset"), found.get("package")
        return Seen(
            dataset=upload_from(dataset) if dataset else None,
            package=upload_from(package) if package else None,
            record=record_from(found.get("record"), now=wanted.now),
            quota=quota_from(wanted.customer_id, found.get("quota")),
        )

    def submit(self, job: Job, *, hold: Transfer, admission: Admission, record: IdempotencyRecord | None) -> None:
        statements: list[tuple[Obstacle, Write]] = [
            (Obstacle.BUSY, {"Put": create_write(self._tables.jobs, job)}),
            (Obstacle.BUSY, {"Put": open_count_write(self._tables.progress, job.id)}),
            (Obstacle.BUSY, {"Put": entry_write(self._tables.ledger, hold)}),
            (Obstacle.CREDIT_INSUFFICIENT, {"Update": balance_write(self._tables.ledger, hold)}),
            (Obstacle.QUOTA_FULL, {"Update": admit_write(self._tables.limits, admission)}),
            (Obstacle.DATASET_NOT_READY, self._use(job, UploadKind.DATASET, job.dataset.id)),
            (Obstacle.PACKAGE_NOT_READY, self._use(job, UploadKind.TRAINING_PACKAGE, job.package.id)),
        ]
        if record is not None:
            statements.append((Obstacle.IDEMPOTENCY_KEY_USED, {"Put": first_use_write(self._tables.idempotency, record)}))
        refused = self._transact([write for _, write in statements])
        if refused:
            failed = [what for (what, _), code in zip(statements, refused, strict=True) if code == _CONDITION_FAILED]
            raise SubmitRefused(frozenset(failed or [Obstacle.BUSY]))

    def settle(self, unit: Unit, debit: Transfer) -> bool:
        count = count_write(self._tables.progress, unit.job_id, credits=debit.amount, at=debit.created_at)
        return self._once([*self._move(debit), {"Update": count}])

    def close(self, job: Job, ending: Ending) -> bool:
        writes: list[Write] = [
            {"Update": end_write(self._tables.jobs, job, status=ending.status, failure=ending.failure, at=ending.at)},
            {"Update": end_count_write(self._tables.progress, job, at=ending.at)},
            self._free(job, UploadKind.DATASET, job.dataset.id),
            self._free(job, UploadKind.TRAINING_PACKAGE, job.package.id),
            {"Update": leave_write(self._tables.limits, job.customer_id, job.id)},
        ]
        if ending.release is not None:
            writes += self._move(ending.release)
        return self._once(writes, fences=2)

    def _move(self, transfer: Transfer) -> list[Write]:
        ledger = self._tables.ledger
        return [{"Put": entry_write(ledger, transfer)}, {"Update": balance_write(ledger, transfer)}]

    def _use(self, job: Job, kind: UploadKind, upload_id: str) -> Write:
        return {"Update": self._upload_update(job, kind, upload_id, "ADD live_jobs :job", "#status = :ready")}

    def _free(self, job: Job, kind: UploadKind, upload_id: str) -> Write:
        return {"Update": self._upload_update(job, kind, upload_id, "DELETE live_jobs :job", None)}

    def _upload_update(self, job: Job, kind: UploadKind, upload_id: str, change: str, condition: str | None) -> Write:
        values: dict[str, Any] = {":job": {job.id}}
        write: Write = {
            "TableName": self._tables.uploads,
            "Key": upload_key(job.customer_id, kind, upload_id),
            "UpdateExpression": change,
        }
        if condition:
            values[":ready"] = str(UploadStatus.READY)
            write |= {"ConditionExpression": condition, "ExpressionAttributeNames": {"#status": "status"}}
        return write | {"ExpressionAttributeValues": to_item(values)}

    def _once(self, writes: list[Write], *, fences: int = 1) -> bool:
        """Runs a transaction whose first statements are fences: False when one of them had been passed before.

        Any other refusal is a broken invariant or a concurrent writer; it flies, and the caller's event is delivered again.
        """
        refused = self._transact(writes)
        if not refused:
            return True
        if _CONDITION_FAILED in refused[:fences]:
            return False
        raise StaleWrite(f"transaction refused: {refused}")

    def _transact(self, writes: list[Write]) -> list[str]:
        """Why each statement was refused, empty when the transaction went through.

        Only refusals that another try may overcome are answered; an item that no table can hold would be tried for ever.
        """
        try:
            self._client.transact_write_items(TransactItems=writes)  # type: ignore[arg-type]
        except Exception as error:
            codes = cancellation_codes(error) if error_code(error) == "TransactionCanceledException" else []
            if codes and _HOPELESS.isdisjoint(codes):
                return codes
            raise
        return []
