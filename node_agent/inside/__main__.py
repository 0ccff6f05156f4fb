"""Starts inside the sandbox, does one unit, leaves the result in the outbox. Exit code 0 means: a result was written."""

import errno
import os
import sys

from .child import Control, apply_limits, kill_everyone_else
from .failure import DISK_FULL, OUT_OF_MEMORY, UnitFailedError
from .folders import Folders
from .outbox import deliver, deliver_failure
from .roles import Stage, perform
from .spec import Spec, read_spec

# The first thing on stdout: tells the agent that the sandbox was built and what follows is the unit's log.
GREETING = b"gpupool-inside 1\n"
_NICENESS = 10


def main() -> int:
    """Does the unit that the agent described. Raises when the agent's own files do not make sense."""
    os.umask(0o022)
    os.nice(_NICENESS)
    sys.stdout.buffer.write(GREETING)
    sys.stdout.buffer.flush()
    control = Control()
    control.listen(sys.stdin.fileno())
    folders = Folders()
    spec = read_spec(folders.config / "unit.json")
    _bound(spec)
    work(Stage(spec, folders, control, kill_everyone_else))
    return 0


def work(stage: Stage) -> None:
    """Does the unit and writes its result; every way to fail becomes a result too."""
    try:
        stage.folders.create()
        records = perform(stage)
        deliver(records, stage.folders, max_bytes=stage.spec.bounds.output_bytes)
    except UnitFailedError as failure:
        _report(failure, stage)
    except MemoryError:
        _report(UnitFailedError(OUT_OF_MEMORY, "The unit's data do not fit into its memory."), stage)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        _report(UnitFailedError(DISK_FULL, "The unit's data do not fit on its disk."), stage)


def _report(failure: UnitFailedError, stage: Stage) -> None:
    print(f"unit failed: {failure.code}: {failure.message}", flush=True)
    deliver_failure(failure, stage.folders)


def _bound(spec: Spec) -> None:
    bounds = spec.bounds
    apply_limits(
        memory_bytes=bounds.memory_bytes,
        disk_bytes=bounds.disk_bytes,
        processes=bounds.processes,
        has_gpu=spec.has_gpu,
    )
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, usable[: max(1, bounds.cpu_count)])


if __name__ == "__main__":
    sys.exit(main())
