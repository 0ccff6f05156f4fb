"""Bringing the agent's downloads into the folders that the unit reads."""

import shutil
from collections.abc import Callable
from pathlib import Path

from .failure import PACKAGE_INVALID, UnitFailedError
from .folders import Folders
from .spec import Need, Spec
from .unpack import UnsafeArchiveError, place_file, unpack_tar, unpack_zip

_ZIP_TYPES = frozenset({"application/zip", "application/x-zip-compressed"})
_TAR_TYPES = frozenset(
    {"application/gzip", "application/x-gzip", "application/x-tar", "application/x-gtar", "application/x-gtar+gzip"}
)

# What a needed unit's artifacts become below its channel.
_ARCHIVES = {"model.tar.gz": "model", "output.tar.gz": "output", "checkpoint.tar.gz": "checkpoints"}


def place_package(spec: Spec, folders: Folders) -> None:
    """Unpacks the training package into the code folder. Raises UnitFailedError(PACKAGE_INVALID)."""
    _unpack(unpack_zip, folders.package, folders.code, "training package", spec)


def place_dataset(spec: Spec, folders: Folders) -> None:
    """Unpacks the dataset into its channel, or places it there as a file. Raises UnitFailedError(PACKAGE_INVALID)."""
    if not spec.has_dataset:
        return
    content_type = spec.dataset_content_type.partition(";")[0].strip().lower()
    if content_type in _ZIP_TYPES:
        _unpack(unpack_zip, folders.dataset, folders.training, "dataset", spec)
    elif content_type in _TAR_TYPES:
        _unpack(unpack_tar, folders.dataset, folders.training, "dataset", spec)
    else:
        place_file(folders.dataset, folders.training, name=spec.dataset_name)


def place_needs(spec: Spec, folders: Folders) -> None:
    """Unpacks what the needed units yielded, each below its own channel."""
    for need in spec.needs:
        if need.unit_name == "training" and spec.has_dataset:
            raise UnitFailedError(PACKAGE_INVALID, "A unit named 'training' would hide the dataset's channel; rename it.")
        _place_need(need, spec, folders)


def _place_need(need: Need, spec: Spec, folders: Folders) -> None:
    channel = folders.need(need.unit_name)
    for folder in ("model", "output"):
        (channel / folder).mkdir(parents=True, exist_ok=True)
    for name in need.files:
        source = folders.need_file(need.unit_name, name)
        if name in _ARCHIVES:
            target = channel / _ARCHIVES[name]
            target.mkdir(exist_ok=True)
            _unpack(unpack_tar, source, target, f"{name} of {need.unit_name}", spec)
        else:
            shutil.copyfile(source, channel / name)


def _unpack(unpack: Callable[..., None], archive: Path, folder: Path, what: str, spec: Spec) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        unpack(archive, folder, max_bytes=spec.bounds.disk_bytes)
    except UnsafeArchiveError as error:
        raise UnitFailedError(PACKAGE_INVALID, f"The {what} cannot be unpacked: {error}.") from error
