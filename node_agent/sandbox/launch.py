"""Starting bubblewrap: its words, its filter and its control groups, without a trace of them in ``/proc``."""

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from node_agent.sandbox import seccomp
from node_agent.sandbox.cgroup import ControlGroup

# A shell joins the groups before bubblewrap exists, so that no process is ever outside them; exec keeps the process id
# and with it the parent whose death ends the sandbox.
_JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec "$@"'


@dataclass(frozen=True)
class Launched:
    """A started sandbox: ``control`` ends it gently when written to or closed, ``output`` is the unit's log.

    ``init`` is a descriptor of the first process inside, None when the sandbox was never built. The kernel ends it last:
    once it is dead, nothing of the unit is left.
    """

    process: subprocess.Popen[bytes]
    control: IO[bytes]
    output: IO[bytes]
    init: int | None

    def kill(self, *, seconds: float) -> None:
        """Ends whatever is left of the unit. Raises TimeoutError when something survives that long."""
        if self.init is None:
            self.process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.init, signal.SIGKILL)
            dead, _, _ = select.select([self.init], [], [], seconds)
            os.close(self.init)
            if not dead:
                raise TimeoutError("a process of the unit cannot be killed")
        self.process.wait(seconds)


def launch(bwrap: str, options: Sequence[str], program: Sequence[str], *, group: ControlGroup | None) -> Launched:
    """Starts ``program`` in the sandbox that ``options`` describe. Must run on a thread that outlives the unit.

    The kernel's parent-death signal follows the thread, not the process, that started the child.
    """
    words = sealed(b"\0".join(os.fsencode(option) for option in options))
    rules = sealed(seccomp.program())
    info_end, info = os.pipe()
    # --args keeps the host's paths out of the command line, which the unit could read as /proc/1/cmdline.
    command = [bwrap, "--seccomp", str(rules), "--info-fd", str(info), "--args", str(words), "--", *program]
    if group is not None:
        entrances = [str(entrance) for entrance in group.entrances]
        command = ["/bin/sh", "-c", _JOIN, "sh", *entrances, "--", *command]
    try:
        process = subprocess.Popen(
            command,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(words, rules, info),
            start_new_session=True,
        )
    finally:
        for descriptor in (words, rules, info):
            os.close(descriptor)
    with open(info_end, "rb") as told:  # noqa: PTH123 - opened by descriptor
        init = _init_of(process.pid, told)
    return Launched(process, cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout), init)


def _init_of(bwrap: int, told: IO[bytes]) -> int | None:
    """Waits until bubblewrap has either made the first process inside or failed."""
    said = b""
    while b"}" not in said and (chunk := os.read(told.fileno(), 4096)):
        said += chunk
    try:
        pid = json.loads(said)["child-pid"]
        descriptor = os.pidfd_open(pid)
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (ValueError, KeyError, OSError):
        return None
    if parent != bwrap:
        os.close(descriptor)
        return None
    return descriptor


def sealed(content: bytes) -> int:
    """A descriptor to read ``content`` from."""
    descriptor = os.memfd_create("gpupool")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
