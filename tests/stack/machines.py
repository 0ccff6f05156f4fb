"""Home machines: real agents with the real sandbox, one process each."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from local.bringup import LocalStack
from local.nodes import Node, agent_environment, start_node
from tests.stack.waiting import eventually

_SLOTS = 2


class Machines:
    """The agents of one stack, by name. A killed one can be started again over what it left."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._nodes: dict[str, Node] = {}

    def join(self, name: str) -> None:
        """Pairs a machine and starts its agent."""
        folder = self.folder(name)
        folder.mkdir(parents=True)
        (folder / "agent.toml").write_text(f"cpu_slots = {_SLOTS}\n")
        self._nodes[name] = start_node(name, home=self._stack.layout.home, stack=self._stack.variables)
        eventually(lambda: "agent.ready" in self.log(name), what=f"{name} polling its queues")

    def folder(self, name: str) -> Path:
        """The agent's state directory."""
        return self._stack.layout.home / "nodes" / name

    def log(self, name: str) -> str:
        return self._nodes[name].log.read_text(errors="replace")

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self._nodes[name].process.pid)

    def holder(self, unit_id: str) -> str:
        """Whose hands a running unit is in, as the machines' own status files say."""

        def look() -> str | None:
            return next((name for name in self._nodes if unit_id in self._in_hand(name)), None)

        found = eventually(look, what=f"a machine that works on {unit_id}")
        assert found is not None
        return found

    def kill(self, name: str) -> None:
        """SIGKILL: nothing is told, given back or tidied up by the agent."""
        process = self._nodes[name].process
        process.send_signal(signal.SIGKILL)
        process.wait()

    def ask_to_stop(self, name: str) -> None:
        """SIGTERM. The first asks it to finish what it has in hand, the second to give it back."""
        self._nodes[name].process.send_signal(signal.SIGTERM)

    def exit_code(self, name: str) -> int | None:
        """None while it runs."""
        return self._nodes[name].process.poll()

    def revive(self, name: str) -> None:
        """Starts an agent that has ended again, over its state directory."""
        node = self._nodes[name]
        with node.log.open("wb") as sink:
            words = [sys.executable, "-m", "node_agent", "run", "--state-dir", str(self.folder(name))]
            environment = agent_environment(self._stack.variables)
            process = subprocess.Popen(words, env=environment, stdout=sink, stderr=subprocess.STDOUT)
        self._nodes[name] = Node(name, node.log, process)
        eventually(lambda: "agent.ready" in self.log(name), what=f"{name} polling its queues again")

    def leave(self) -> None:
        """Drains all of them, at once."""
        for node in self._nodes.values():
            if node.process.poll() is None:
                os.kill(node.process.pid, signal.SIGTERM)
        for node in self._nodes.values():
            node.stop()

    def _in_hand(self, name: str) -> str:
        try:
            return json.dumps(json.loads((self.folder(name) / "status.json").read_text())["units"])
        except (FileNotFoundError, KeyError):
            return ""


def processes_with(marker: str) -> list[psutil.Process]:
    """Living processes of this host with ``marker`` on their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE and marker in (process.info["cmdline"] or []):
            found.append(process)
    return found
