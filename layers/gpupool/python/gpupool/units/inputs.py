"""Where the inputs of a unit lie, with URLs that work for ``URL_SECONDS``."""

from gpupool.artifacts.store import ArtifactStore
from gpupool.ids import unit_id as id_of
from gpupool.jobs.store import JobStore
from gpupool.objects.store import URL_SECONDS, ObjectStore
from gpupool.units.grant import build_inputs
from gpupool.units.model import Unit
from gpupool.units.rows import present
from gpupool.units.store import UnitStore
from gpupool.wire.units import InputsResponse


class Inputs:
    def __init__(self, *, units: UnitStore, jobs: JobStore, artifacts: ArtifactStore, objects: ObjectStore) -> None:
        self._units = units
        self._jobs = jobs
        self._artifacts = artifacts
        self._objects = objects

    def of(self, unit: Unit) -> InputsResponse:
        """Package, dataset and what the unit's needs left, in the order of its needs."""
        job = present(self._jobs.get(unit.job_id))
        needs = tuple(present(self._units.get(id_of(unit.job_id, index))) for index in unit.needs)
        with_artifacts = tuple((need, self._artifacts.of_unit(need.id)) for need in needs)
        return build_inputs(job, with_artifacts, self._download_url)

    def _download_url(self, key: str, filename: str) -> str:
        return self._objects.presign_get(key, filename=filename, expires_seconds=URL_SECONDS)
