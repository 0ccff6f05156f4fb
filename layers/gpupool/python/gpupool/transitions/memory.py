"""The transitions in memory: checks first, then writes, all under the world's lock."""

from dataclasses import replace

from gpupool.clock import Clock
from gpupool.errors import StaleWrite
from gpupool.idempotency.memory import MemoryIdempotencyStore
from gpupool.idempotency.model import IdempotencyRecord
from gpupool.jobs.model import Job
from gpupool.ledger.memory import MemoryLedgerStore
from gpupool.ledger.model import Transfer
from gpupool.limits.memory import MemoryLimitStore
from gpupool.limits.model import Admission
from gpupool.transitions.store import Ending, Obstacle, Seen, SubmitRefused, Wanted
from gpupool.units.model import Unit
from gpupool.uploads.model import UploadKind, UploadStatus, owner_kind
from gpupool.world import World


class MemoryTransitions:
    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._ledger = MemoryLedgerStore(world)
        self._limits = MemoryLimitStore(world, clock)
        self._idempotency = MemoryIdempotencyStore(world, clock)

    def look(self, wanted: Wanted) -> Seen:
        with self._world.lock:
            owner = wanted.customer_id
            return Seen(
                dataset=self._world.uploads.get((owner_kind(owner, UploadKind.DATASET), wanted.dataset_id)),
                package=self._world.uploads.get((owner_kind(owner, UploadKind.TRAINING_PACKAGE), wanted.package_id)),
                record=None if wanted.record_id is None else self._idempotency.get(wanted.record_id),
                quota=self._limits.quota(owner),
            )

    def submit(self, job: Job, *, hold: Transfer, admission: Admission, record: IdempotencyRecord | None) -> None:
        with self._world.lock:
            obstacles = frozenset(self._obstacles(job, hold, admission, record))
            if obstacles:
                raise SubmitRefused(obstacles)
            self._limits.admit(admission)
            self._world.jobs[job.id] = job
            self._ledger.write(hold)
            if record is not None:
                self._world.idempotency[record.id] = record
            self._use(job, in_use=True)

    def settle(self, unit: Unit, debit: Transfer) -> bool:
        with self._world.lock:
            if self._ledger.is_posted(debit):
                return False
            job = self._world.jobs.get(unit.job_id)
            if job is None or not job.is_live:
                raise StaleWrite(debit.id)
            self._check_covered(debit)
            self._ledger.write(debit)
            spent = job.credits_spent + debit.amount
            self._world.jobs[job.id] = replace(
                job, units_completed=job.units_completed + 1, credits_spent=spent, progressed_at=debit.created_at
            )
            return True

    def close(self, job: Job, ending: Ending) -> bool:
        with self._world.lock:
            stored = self._world.jobs.get(job.id)
            if stored is None or not stored.is_live or _paid(stored) != _paid(job):
                return False
            if ending.release is not None:
                self._check_covered(ending.release)
                self._ledger.write(ending.release)
            self._world.jobs[job.id] = replace(
                stored,
                status=ending.status,
                failure=ending.failure,
                finished_at=ending.at,
                task_token=None,
                progressed_at=None,
            )
            self._use(job, in_use=False)
            self._limits.leave(job.customer_id, job.id)
            return True

    def _check_covered(self, transfer: Transfer) -> None:
        """An account below zero is a broken invariant: nothing is written, and the caller's event comes again."""
        if not self._ledger.covers(transfer):
            raise StaleWrite(transfer.id)

    def _obstacles(self, job: Job, hold: Transfer, admission: Admission, record: IdempotencyRecord | None) -> list[Obstacle]:
        found = []
        if job.id in self._world.jobs or self._ledger.is_posted(hold):
            found.append(Obstacle.BUSY)
        if not self._limits.fits(admission):
            found.append(Obstacle.QUOTA_FULL)
        if record is not None and self._idempotency.get(record.id) is not None:
            found.append(Obstacle.IDEMPOTENCY_KEY_USED)
        if not self._ledger.covers(hold):
            found.append(Obstacle.CREDIT_INSUFFICIENT)
        for key, obstacle in zip(_upload_keys(job), (Obstacle.DATASET_NOT_READY, Obstacle.PACKAGE_NOT_READY), strict=True):
            upload = self._world.uploads.get(key)
            if upload is None or upload.status is not UploadStatus.READY:
                found.append(obstacle)
        return found

    def _use(self, job: Job, *, in_use: bool) -> None:
        for key in _upload_keys(job):
            upload = self._world.uploads[key]
            live = upload.live_jobs | {job.id} if in_use else upload.live_jobs - {job.id}
            self._world.uploads[key] = replace(upload, live_jobs=live)


def _paid(job: Job) -> tuple[int, int]:
    return job.units_completed, job.credits_spent


def _upload_keys(job: Job) -> tuple[tuple[str, str], tuple[str, str]]:
    return (
        (owner_kind(job.customer_id, UploadKind.DATASET), job.dataset.id),
        (owner_kind(job.customer_id, UploadKind.TRAINING_PACKAGE), job.package.id),
    )
