"""Is there room for inputs, environments and outputs?"""

import shutil
from pathlib import Path

from node_agent.checks.base import Finding, Level

_LEAST_MB = 1_000
_COMFORTABLE_MB = 10_000


def check_disk(folder: Path) -> Finding:
    """``folder`` must exist."""
    return judge_disk(free_mb=shutil.disk_usage(folder).free // 1_000_000)


def judge_disk(*, free_mb: int) -> Finding:
    if free_mb < _LEAST_MB:
        return Finding(
            "disk", Level.PROBLEM, f"{free_mb} MB free; units need at least {_LEAST_MB} MB: free some, or set work_dir"
        )
    if free_mb < _COMFORTABLE_MB:
        return Finding(
            "disk", Level.WARNING, f"{free_mb} MB free; many units ask for {_COMFORTABLE_MB} MB and will not come here"
        )
    return Finding("disk", Level.OK, f"{free_mb} MB free")
