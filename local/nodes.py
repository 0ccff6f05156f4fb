"""Node agents beside a local stack: separate processes, paired with one-time codes like any other machine.

``python -m local.nodes NAME`` pairs one with the stack of ``.local/stack.env`` and runs it until Ctrl-C, which drains it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from local.environment import read_env_file
from local.layout import DEFAULT_LAYOUT, REPO_ROOT
from local.seed import SeedError, operator

_STOP_SECONDS = 20
_LAYER = REPO_ROOT / "layers" / "gpupool" / "python"


class NodeError(Exception):
    """An agent did not start; the text is the end of its log."""


@dataclass
class Node:
    """One running agent."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """NodeError when the agent has ended by itself."""
        if self.process.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise NodeError(f"node {self.name} ended with exit code {self.process.returncode}:\n{tail}")

    def stop(self) -> None:
        """Drains the agent; one that does not end in time is killed with everything it runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_node(name: str, *, home: Path, stack: Mapping[str, str]) -> Node:
    """Pairs a machine and starts its agent. The state folder stays, so that its caches serve the next run."""
    state = pair_node(name, home=home, stack=stack)
    log = state / "agent.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            _agent("run", "--state-dir", str(state)),
            env=agent_environment(stack),
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    return Node(name, log, process)


def pair_node(name: str, *, home: Path, stack: Mapping[str, str]) -> Path:
    """The state folder of a machine that has just been paired."""
    state = home / "nodes" / name
    state.mkdir(parents=True, exist_ok=True)
    code = str(operator("pairing-code", "--tier", "controlled", environment=dict(stack))["code"])
    paired = subprocess.run(
        _agent("pair", "--api", stack["GPU_AGENT_API"], "--code", code, "--state-dir", str(state), "--name", name),
        env=agent_environment(stack),
        capture_output=True,
        text=True,
        check=False,
    )
    if paired.returncode != 0:
        raise NodeError(f"node {name} could not be paired: {paired.stderr.strip()[-1000:]}")
    return state


def agent_environment(stack: Mapping[str, str]) -> dict[str, str]:
    """What an agent may know: where the stack is. The operator's keys of the stack stay out."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GPU_AGENT_"))}
    return inherited | {"PYTHONPATH": f"{REPO_ROOT}:{_LAYER}", "AWS_ENDPOINT_URL": stack["AWS_ENDPOINT_URL"]}


def _agent(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "node_agent", *arguments]


def run_in_front(name: str) -> NoReturn:
    """Becomes the agent: signals reach it directly, and its exit code is ours."""
    stack = read_env_file(DEFAULT_LAYOUT.env_file)
    if not stack:
        raise NodeError("there is no stack; start one with `make up`")
    state = pair_node(name, home=DEFAULT_LAYOUT.home, stack=stack)
    command = _agent("run", "--state-dir", str(state))
    os.execve(command[0], command, agent_environment(stack))  # noqa: S606 - an argument list, no shell


if __name__ == "__main__":
    try:
        run_in_front(sys.argv[1] if len(sys.argv) > 1 else "mine")
    except (NodeError, SeedError) as error:
        sys.exit(f"error: {error}")
