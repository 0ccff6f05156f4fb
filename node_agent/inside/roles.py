"""What each role does, from placed inputs to filled output folders. Each returns its metrics, oldest first."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from . import inputs
from .child import Control, run_entry
from .failure import NO_MODEL, PACKAGE_INVALID, UnitFailedError
from .folders import Folders
from .lanes import Lane, assemble_model, describe, lane_of, write_json
from .metrics import read_lines
from .pack import regular_files
from .sagemaker import arguments, count_gpus, environment
from .spec import Spec
from .verdict import failure_of

Records = list[dict[str, object]]
_LISTED_FILES = 10_000


@dataclass(frozen=True)
class Stage:
    """What a role works with. ``sweep`` ends every process that a script left behind."""

    spec: Spec
    folders: Folders
    control: Control
    sweep: Callable[[], None]


def perform(stage: Stage) -> Records:
    """Does the unit's role. Raises UnitFailedError."""
    return {"prepare": _prepare, "package": _package, "select": _select}.get(stage.spec.role, _script)(stage)


def _prepare(stage: Stage) -> Records:
    """Checks what can be checked before a GPU is paid for: package and dataset unpack; lists the dataset's files."""
    inputs.place_package(stage.spec, stage.folders)
    inputs.place_dataset(stage.spec, stage.folders)
    files = regular_files(stage.folders.training)
    listed = [describe(name, path) for name, path in itertools.islice(files, _LISTED_FILES)]
    total = sum(path.stat().st_size for _, path in files)
    summary = {"file_count": len(files), "total_bytes": total, "files": listed}
    write_json(stage.folders.output_data / "dataset.json", summary)
    print(f"package and dataset unpack; the dataset holds {len(files)} files, {total} bytes", flush=True)
    return [{"dataset_files": len(files), "dataset_bytes": total}]


def _package(stage: Stage) -> Records:
    """Makes one model folder of everything the needed units yielded."""
    lane = _assembled(stage)
    print(f"packaged {len(regular_files(stage.folders.model))} files", flush=True)
    return [dict(lane.metrics)]


def _select(stage: Stage) -> Records:
    """Makes the best lane's model the job's. The agent chose the lane, and brought nothing of the others."""
    best = _assembled(stage)
    selection = stage.spec.selection or {}
    write_json(stage.folders.output_data / "selection.json", selection)
    objective = stage.spec.objective or ""
    print(f"selected {selection.get('selected')}: {objective} = {best.metrics.get(objective)}", flush=True)
    return [dict(best.metrics)]


def _assembled(stage: Stage) -> Lane:
    """The needed units, of which the model folder is made."""
    inputs.place_needs(stage.spec, stage.folders)
    lane = lane_of(stage.spec.needs, stage.folders)
    assemble_model(lane, stage.folders)
    return lane


def _script(stage: Stage) -> Records:
    """Runs the package's entry as SageMaker's script mode would."""
    spec, folders = stage.spec, stage.folders
    inputs.place_package(spec, folders)
    inputs.place_dataset(spec, folders)
    inputs.place_needs(spec, folders)
    if not spec.entry or not (folders.code / spec.entry).is_file():
        raise UnitFailedError(PACKAGE_INVALID, f"The package has no file {spec.entry!r} to run.")
    ended = run_entry(
        [spec.python, "-u", spec.entry, *arguments(spec)],
        cwd=folders.code,
        environment=environment(spec, folders, gpu_count=count_gpus() if spec.has_gpu else 0),
        control=stage.control,
        sweep=stage.sweep,
    )
    failure = failure_of(ended)
    if failure is not None:
        raise failure
    if spec.role == "train" and not regular_files(folders.model):
        raise UnitFailedError(NO_MODEL, "The script ended well but left nothing in SM_MODEL_DIR.", exit_code=0)
    return ended.records + read_lines(folders.output_data / "metrics.jsonl")
