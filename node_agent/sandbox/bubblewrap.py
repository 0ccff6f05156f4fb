"""The real sandbox: namespaces, a system call filter and limits, built by bubblewrap.

What it is for: a home owner's files, network and accounts stay out of a stranger's reach, and a unit stays within its
bounds. What it is not: a virtual machine. The kernel is shared, and a unit with a GPU talks to the GPU's driver.
"""

import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from gpupool.wire.vocabulary import UnitRole
from node_agent.inside.spec import PLATFORM_ROLES
from node_agent.sandbox import cgroup, host
from node_agent.sandbox.command import program_words, sandbox_words
from node_agent.sandbox.launch import launch
from node_agent.sandbox.running import BubblewrapUnit, Prepared
from node_agent.sandbox.sandbox import Limits, OnOutput, OutcomeStatus, UnitFiles, UnitSpec
from node_agent.sandbox.stage import lay_out

_GRACE_SECONDS = 10.0
_GROUP_PREFIX = "gpupool-"
_PROBE = Limits(wall_seconds=20, memory_mb=512, disk_mb=64, processes=64, log_bytes=65_536, output_bytes=1 << 20, cpu_count=1)
_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


class BubblewrapSandbox:
    """``grace_seconds``: how long a unit may take to end itself after SIGTERM.

    ``control_groups``: use them where this host allows it. Without them the same bounds hold, noticed by sampling.
    """

    def __init__(self, *, grace_seconds: float = _GRACE_SECONDS, control_groups: bool = True) -> None:
        self._grace_seconds = grace_seconds
        self._control_groups = control_groups

    def check(self) -> list[str]:
        """Besides looking at the host, runs one empty unit: only that proves that isolation can be built here."""
        cgroup.remove_leftovers(_GROUP_PREFIX)
        found = host.problems(host.look())
        return found or self._probe()

    def start(self, spec: UnitSpec, files: UnitFiles, *, limits: Limits, on_output: OnOutput) -> BubblewrapUnit:
        def prepare() -> Prepared:
            here = host.look()
            stage = lay_out(spec, files, limits=limits, host=here)
            group = self._group(limits)
            options = sandbox_words(spec, files, limits=limits, stage=stage, host=here)
            program = program_words(stage, here)
            return Prepared(
                stage=stage,
                runs_script=spec.role.value not in PLATFORM_ROLES,
                group=group,
                launch=lambda: launch(here.bwrap, options, program, group=group),
                environment=files.environment,
            )

        return BubblewrapUnit(prepare, limits=limits, on_output=on_output, grace_seconds=self._grace_seconds)

    def destroy(self, root: Path) -> None:
        """By the system's own tools: they neither follow links nor tire of depth, and the unit may have left both."""
        if not root.exists():
            return
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
        removed = subprocess.run(["rm", "-rf", "--one-file-system", "--", str(root)], **quiet)  # type: ignore[call-overload]
        if removed.returncode != 0:
            subprocess.run(["chmod", "-R", "u+rwX", "--", str(root)], **quiet)  # type: ignore[call-overload]
            subprocess.run(["rm", "-rf", "--one-file-system", "--", str(root)], **quiet)  # type: ignore[call-overload]

    def _group(self, limits: Limits) -> cgroup.ControlGroup | None:
        if not self._control_groups:
            return None
        name = f"{_GROUP_PREFIX}{uuid.uuid4().hex}"
        return cgroup.create(name, memory_mb=limits.memory_mb, processes=limits.processes)

    def _probe(self) -> list[str]:
        folder = Path(tempfile.mkdtemp(prefix="gpupool-probe-"))
        try:
            package = folder / "package.zip"
            package.write_bytes(_EMPTY_ZIP)
            files = UnitFiles(root=folder / "unit", package=package)
            files.root.mkdir()
            unit = self.start(UnitSpec(role=UnitRole.PREPARE), files, limits=_PROBE, on_output=lambda _: None)
            outcome = unit.wait()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if outcome is not None and outcome.status is OutcomeStatus.SUCCEEDED:
            return []
        said = outcome.message if outcome is not None else "no outcome"
        who = "root" if os.geteuid() == 0 else "an ordinary user"
        return [f"An empty unit does not run here as {who}; namespaces are probably forbidden on this host. {said}"]
