"""A job and its units with valid defaults; a test names what matters to it."""

from typing import Any

from gpupool.ids import unit_id
from gpupool.jobs.model import Job, JobStatus, Quote, Sensitivity, Source
from gpupool.units.model import Pool, Unit, UnitStatus, Work
from gpupool.wire.vocabulary import CapabilityClass, UnitKind, UnitRole
from tests.support.nodes import START

JOB_ID = "01890a5d-0000-774b-bcce-b302099a0001"
CUSTOMER_ID = "01890a5d-0000-774b-bcce-b302099a0002"


def a_source(name: str) -> Source:
    return Source(
        id=f"{name}-id",
        name=name,
        content_type="application/zip",
        key=f"customers/{CUSTOMER_ID}/{name}",
        sha256="a" * 64,
        size_bytes=10,
    )


def a_job(**changes: Any) -> Job:
    defaults: dict[str, Any] = {
        "id": JOB_ID,
        "customer_id": CUSTOMER_ID,
        "name": "digits",
        "status": JobStatus.RUNNING,
        "dataset": a_source("dataset.zip"),
        "package": a_source("package.zip"),
        "required_vram_mb": 0,
        "required_disk_mb": 100,
        "max_runtime_seconds": 600,
        "sensitivity": Sensitivity.PUBLIC,
        "quote": Quote(30),
        "created_at": START,
        "units_total": 1,
    }
    return Job(**(defaults | changes))


def some_work(**changes: Any) -> Work:
    defaults: dict[str, Any] = {
        "role": UnitRole.TRAIN,
        "kind": UnitKind.CPU,
        "entry": "train.py",
        "parameters": {"epochs": 3},
        "args": (),
        "requirements": None,
        "objective": None,
        "goal": None,
        "required_vram_mb": 0,
        "required_disk_mb": 100,
        "max_runtime_seconds": 600,
    }
    return Work(**(defaults | changes))


def a_unit(index: int = 0, **changes: Any) -> Unit:
    """A queued unit that needs nothing."""
    defaults: dict[str, Any] = {
        "id": unit_id(JOB_ID, index),
        "job_id": JOB_ID,
        "customer_id": CUSTOMER_ID,
        "index": index,
        "name": f"train_{index:03d}",
        "status": UnitStatus.QUEUED,
        "pool": Pool.PUBLIC,
        "capability": CapabilityClass.CPU,
        "work": some_work(),
        "needs": (),
        "dependents": (),
        "open_needs": frozenset(),
        "credits_max": 10,
        "created_at": START,
        "queued_at": START,
    }
    return Unit(**(defaults | changes))
