"""Starting bubblewrap: its words, its filter and its control groups, without a trace of them in ``/proc``."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, cast

from node_agent.sandbox import seccomp
from node_agent.sandbox.cgroup import ControlGroup

# A shell joins the groups before bubblewrap exists, so that no process is ever outside them; exec keeps the process id
# and with it the parent whose death ends the sandbox.
_JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec "$@"'


@dataclass(frozen=True)
class Launched:
    """A started sandbox: ``control`` ends it gently when written to or closed, ``output`` ends with its last process."""

    process: subprocess.Popen[bytes]
    control: IO[bytes]
    output: IO[bytes]


def launch(bwrap: str, options: Sequence[str], program: Sequence[str], *, group: ControlGroup | None) -> Launched:
    """Starts ``program`` in the sandbox that ``options`` describe. Must run on a thread that outlives the unit.

    The kernel's parent-death signal follows the thread, not the process, that started the child.
    """
    words = sealed(b"\0".join(os.fsencode(option) for option in options))
    rules = sealed(seccomp.program())
    # --args keeps the host's paths out of the command line, which the unit could read as /proc/1/cmdline.
    command = [bwrap, "--seccomp", str(rules), "--args", str(words), "--", *program]
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
            pass_fds=(words, rules),
            start_new_session=True,
        )
    finally:
        os.close(words)
        os.close(rules)
    return Launched(process, cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout))


def sealed(content: bytes) -> int:
    """A descriptor to read ``content`` from."""
    descriptor = os.memfd_create("gpupool")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
