"""One customer with credits, and the uploads that jobs of any size are made of."""

import math
from datetime import UTC, datetime

from bench.uploads import a_ready_upload
from gpupool.bootstrap import CustomerCore
from gpupool.jobs.model import Sensitivity
from gpupool.jobs.submit import SubmitJob
from gpupool.planning.manifest import manifest_to_dict, parse_manifest
from gpupool.planning.model import Manifest, ManifestUnit, Strategy
from gpupool.ports import Ports
from gpupool.settings import Settings
from gpupool.units.model import Pool
from gpupool.uploads.model import UploadKind
from gpupool.wire.vocabulary import CapabilityClass, UnitKind

PLENTY = 1_000_000_000
LAYER = 10
_SWEEP = """
[package]
entry = "train.py"
[parameters]
rate = 0.1
seed = 0
[evaluate]
entry = "evaluate.py"
[strategy]
kind = "sweep"
[sweep]
objective = "loss"
goal = "minimize"
[sweep.grid]
"""
_DATASET_ID = "0199aaaa-0000-7000-8000-000000000002"


def generous(queue_urls: dict[str, str] | None = None, **known: str) -> Settings:
    """Settings under which no limit of a customer is met."""
    urls = queue_urls or {f"{pool}-{each}": f"memory://{pool}-{each}" for pool in Pool for each in CapabilityClass}
    return Settings.model_validate(known | {"queue_urls": urls, "live_jobs": PLENTY, "units_per_day": PLENTY})


def a_customer(core: CustomerCore, email: str = "bench@example.com") -> str:
    """The id of a customer who can pay for everything."""
    customer = core.accounts.create_customer(email=email, password="correct horse battery", name="bench")
    core.credits.grant(customer.id, amount=PLENTY, note="bench")
    return customer.id


def layers(units: int) -> Manifest:
    """Layers of ten units. Each unit needs two of the layer before, so that every completion opens two edges, and the second
    of them releases a unit."""
    return Manifest(
        Strategy.DAG, entry=None, parameters={"epochs": 3, "rate": 0.1}, units=tuple(_unit(at) for at in range(units))
    )


def sweep(units: int) -> Manifest:
    """Prepare, lanes of one training and its evaluation, select: as many units as a square grid has, and no more than asked."""
    lanes = max(1, (units - 2) // 2)
    rates = max(1, math.isqrt(lanes))
    grid = f"rate = {[at / 1000 for at in range(1, rates + 1)]}\nseed = {list(range(lanes // rates))}\n"
    return parse_manifest(_SWEEP + grid, {"train.py", "evaluate.py"})


def upload(ports: Ports, customer_id: str, manifest: Manifest) -> SubmitJob:
    """A request for a job over ``manifest``, whose data set and package are ready."""
    package_id = f"package-of-{customer_id}"
    now, stored = datetime.now(UTC), manifest_to_dict(manifest)
    ports.uploads.add(a_ready_upload(UploadKind.DATASET, _DATASET_ID, customer_id=customer_id, at=now))
    ports.uploads.add(a_ready_upload(UploadKind.TRAINING_PACKAGE, package_id, customer_id=customer_id, at=now, manifest=stored))
    return SubmitJob(
        name="bench",
        dataset_id=_DATASET_ID,
        training_package_id=package_id,
        required_vram_mb=0,
        required_disk_mb=100,
        max_runtime_seconds=60,
        sensitivity=Sensitivity.PUBLIC,
    )


def _unit(at: int) -> ManifestUnit:
    layer, place = divmod(at, LAYER)
    needs = {(layer - 1) * LAYER + (place + step) % LAYER for step in range(2)} if layer else set()
    return ManifestUnit(
        name=f"u{at}",
        entry="train.py",
        kind=UnitKind.CPU,
        required_vram_mb=0,
        needs=tuple(f"u{need}" for need in sorted(needs)),
    )
