"""The environment that SageMaker's script mode gives a training script, so that existing scripts run unchanged."""

import json
import re
from pathlib import Path

from .folders import Folders
from .spec import Spec

_HOST = "algo-1"


def arguments(spec: Spec) -> list[str]:
    """The manifest's arguments, then the parameters as ``--name value``."""
    pairs = [word for name, value in sorted(spec.parameters.items()) for word in (f"--{name}", str(value))]
    return [*spec.args, *pairs]


def channels(spec: Spec, folders: Folders) -> dict[str, Path]:
    """Input folders by channel name: the dataset, each need, and for evaluate the trained model."""
    found = {"training": folders.training} if spec.has_dataset else {}
    found |= {need.unit_name: folders.need(need.unit_name) for need in spec.needs}
    trained = [need.unit_name for need in spec.needs if need.role == "train"]
    if spec.role == "evaluate" and trained:
        found["model"] = folders.need(trained[0]) / "model"
    return found


def environment(spec: Spec, folders: Folders, *, gpu_count: int) -> dict[str, str]:
    """The complete environment of the script; nothing of this process's own is passed on."""
    inputs = channels(spec, folders)
    words = arguments(spec)
    cpus = str(spec.bounds.cpu_count)
    values = {
        **_process(spec, cpus=cpus),
        "SM_MODEL_DIR": str(folders.model),
        "SM_OUTPUT_DIR": str(folders.output),
        "SM_OUTPUT_DATA_DIR": str(folders.output_data),
        "SM_CHECKPOINT_DIR": str(folders.checkpoints),
        "SM_INPUT_DIR": str(folders.ml / "input"),
        "SM_INPUT_CONFIG_DIR": str(folders.config),
        "SM_MODULE_DIR": str(folders.code),
        "SM_MODULE_NAME": Path(spec.entry or "").stem,
        "SM_USER_ENTRY_POINT": spec.entry or "",
        "SM_CHANNELS": json.dumps(sorted(inputs)),
        "SM_HPS": json.dumps(dict(sorted(spec.parameters.items()))),
        "SM_USER_ARGS": json.dumps(words),
        "SM_NUM_CPUS": cpus,
        "SM_NUM_GPUS": str(gpu_count),
        "SM_CURRENT_HOST": _HOST,
        "SM_HOSTS": json.dumps([_HOST]),
        "SM_LOG_LEVEL": "20",
    }
    values |= {f"SM_CHANNEL_{name.upper()}": str(path) for name, path in inputs.items()}
    values |= {f"SM_HP_{name.upper()}": str(value) for name, value in spec.parameters.items()}
    return values


def count_gpus(devices: Path = Path("/dev")) -> int:
    """How many NVIDIA devices are mounted here."""
    return sum(1 for entry in devices.iterdir() if re.fullmatch(r"nvidia\d+", entry.name))


def _process(spec: Spec, *, cpus: str) -> dict[str, str]:
    binaries = str(Path(spec.python).parent)
    return {
        "PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp/home",  # noqa: S108 - the sandbox's own tmpfs
        "TMPDIR": "/tmp",  # noqa: S108
        "USER": "unit",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": cpus,
    }
