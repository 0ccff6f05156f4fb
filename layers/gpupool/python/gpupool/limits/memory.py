"""Buckets and quotas in memory."""

from dataclasses import replace

from gpupool.clock import Clock
from gpupool.limits.decide import take
from gpupool.limits.model import Admission, Bucket, Quota, Standing
from gpupool.world import World


class MemoryLimitStore:
    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    def take(self, owner: str, bucket: Bucket) -> Standing:
        key = f"{bucket.name}#{owner}"
        now = int(self._clock.now().timestamp() * 1_000_000)
        with self._world.lock:
            full_at, standing = take(self._world.buckets.get(key), bucket=bucket, now=now)
            if full_at is not None:
                self._world.buckets[key] = full_at
            return standing

    def quota(self, customer_id: str) -> Quota:
        return self._world.quotas.get(customer_id, Quota(customer_id))

    def fits(self, admission: Admission) -> bool:
        """Whether the job still fits; for transitions, under the world's lock."""
        quota = self.quota(admission.customer_id)
        used = 0 if admission.first_of_day else quota.units_today
        counts_on = quota.day is None or quota.day < admission.day if admission.first_of_day else quota.day == admission.day
        room = len(quota.live_jobs) < admission.max_live_jobs and used + admission.units <= admission.max_units_per_day
        return counts_on and room

    def admit(self, admission: Admission) -> None:
        """Counts the job, without asking whether it fits."""
        quota = self.quota(admission.customer_id)
        used = 0 if admission.first_of_day else quota.units_today
        live = quota.live_jobs | {admission.job_id}
        self._write(replace(quota, live_jobs=live, day=admission.day, units_today=used + admission.units))

    def leave(self, customer_id: str, job_id: str) -> None:
        quota = self.quota(customer_id)
        self._write(replace(quota, live_jobs=quota.live_jobs - {job_id}))

    def _write(self, quota: Quota) -> Quota:
        self._world.quotas[quota.customer_id] = quota
        return quota

    def set_maxima(self, customer_id: str, *, live_jobs: int | None, units_per_day: int | None) -> Quota:
        with self._world.lock:
            quota = self.quota(customer_id)
            return self._write(replace(quota, max_live_jobs=live_jobs, max_units_per_day=units_per_day))
