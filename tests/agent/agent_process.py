"""The real agent as a process of its own for tests, with the sandbox and the environments scripted."""

import argparse
import sys
from pathlib import Path

from node_agent.agent import Agent
from node_agent.agent_log import LogFormat, set_up_logging
from node_agent.bootstrap import build_parts
from node_agent.environments.memory import MemoryEnvironments
from node_agent.errors import StateDirInUseError
from node_agent.exit_codes import ExitCode
from node_agent.sandbox.memory import MemorySandbox, Script
from node_agent.settings import Settings
from node_agent.state import StateDir


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("state", type=Path)
    parser.add_argument("--hang", action="store_true", help="units go on until they are cancelled")
    parser.add_argument("--log-level", default="info")
    given = parser.parse_args()
    set_up_logging(form=LogFormat.HUMAN, level=given.log_level)
    state = StateDir(given.state)
    try:
        with state.locked():
            parts = build_parts(
                Settings(state_dir=given.state, poll_seconds=1),
                identity=state.identity(),
                sandbox=MemorySandbox([Script(hangs=True)] if given.hang else []),
                environments=MemoryEnvironments(given.state),
                gpus=[],
            )
            agent = Agent(parts)
            agent.handle_signals()
            return int(agent.run())
    except StateDirInUseError:
        return int(ExitCode.STATE_DIR_IN_USE)


if __name__ == "__main__":
    sys.exit(main())
