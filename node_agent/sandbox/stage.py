"""Laying out one attempt's folder on the host, before the sandbox exists.

root/config/    unit.json, read-only inside        root/etc/    the unit's own passwd, group and hosts
root/ml/        /opt/ml inside, the unit writes    root/outbox/ what the agent collects
"""

import itertools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from node_agent.sandbox.host import Host
from node_agent.sandbox.sandbox import Limits, UnitFiles, UnitSpec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MIB = 1 << 20

# A range that no distribution hands out, so that a unit's user owns nothing and shares no limit with anybody.
_FIRST_UNIT_USER = 1_900_000_000
_UNIT_USERS = 10_000
_next_user = itertools.count()

_ETC = {
    "passwd": "root:x:0:0:root:/:/bin/false\nunit:x:{user}:{user}:unit:/tmp/home:/bin/sh\n",
    "group": "root:x:0:\nunit:x:{user}:\n",
    "hosts": "127.0.0.1 localhost algo-1\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


@dataclass(frozen=True)
class Stage:
    """A laid out attempt. ``user`` is the id that the unit runs as: on the host when the agent is root, else inside."""

    root: Path
    user: int

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def ml(self) -> Path:
        return self.root / "ml"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox"


def lay_out(spec: UnitSpec, files: UnitFiles, *, limits: Limits, host: Host) -> Stage:
    """Creates the folders and writes ``unit.json``. Raises ValueError for names that cannot be file names."""
    for name in (word for need in spec.needs for word in (need.unit_name, *(file.name for file in need.files))):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a unit or a file")
    user = _FIRST_UNIT_USER + next(_next_user) % _UNIT_USERS if host.is_root else 1000
    stage = Stage(files.root, user)
    for folder in (stage.config, stage.etc, stage.outbox, stage.ml / "code", stage.ml / "input" / "config"):
        folder.mkdir(parents=True)
    for name, content in _ETC.items():
        (stage.etc / name).write_text(content.format(user=user))
    document = unit_document(spec, files, limits=limits, python=host.python)
    (stage.config / "unit.json").write_text(json.dumps(document))
    if host.is_root:
        _hand_over(stage, spec, files)
    return stage


def unit_document(spec: UnitSpec, files: UnitFiles, *, limits: Limits, python: Path) -> dict[str, object]:
    """What the program inside is told; ``node_agent.inside.spec`` reads it."""
    return {
        "role": spec.role.value,
        "entry": spec.entry,
        "parameters": dict(spec.parameters),
        "args": list(spec.args),
        "objective": spec.objective,
        "goal": spec.goal,
        "dataset_name": spec.dataset_name,
        "dataset_content_type": spec.dataset_content_type,
        "has_dataset": files.dataset is not None,
        "needs": [
            {"unit_name": need.unit_name, "role": need.role.value, "files": [file.name for file in need.files]}
            for need in spec.needs
        ],
        "selection": None if spec.selection is None else dict(spec.selection),
        "has_gpu": spec.has_gpu,
        "python": str(files.environment / "bin" / "python") if files.environment else str(python),
        "bounds": {
            "memory_bytes": limits.memory_mb * _MIB,
            "disk_bytes": limits.disk_mb * _MIB,
            "output_bytes": limits.output_bytes,
            "processes": limits.processes,
            "cpu_count": limits.cpu_count or len(os.sched_getaffinity(0)),
        },
    }


def _hand_over(stage: Stage, spec: UnitSpec, files: UnitFiles) -> None:
    """Lets the unit's unprivileged user write its folders and read its inputs, and nobody else reach either.

    The inputs stay behind their own folder's permissions; inside, only the bind mounts lead to them.
    """
    for folder in (stage.outbox, stage.ml, *(path for path in stage.ml.rglob("*") if path.is_dir())):
        os.chown(folder, stage.user, stage.user)
    inputs = [files.package, *(file.path for need in spec.needs for file in need.files)]
    for path in (*inputs, *((files.dataset,) if files.dataset else ()), *stage.etc.iterdir(), *stage.config.iterdir()):
        path.chmod(path.stat().st_mode | 0o444)
    for folder in (stage.config, stage.etc):
        folder.chmod(0o755)
