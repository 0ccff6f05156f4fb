"""``python -m node_agent pair | run | status | check``. Exit codes: ``node_agent/exit_codes.py``."""

import argparse
import json
import logging
import os
import platform
import sys
import threading
from collections.abc import Sequence

from gpupool.wire.joining import PairRequest
from node_agent import AGENT_VERSION, checks
from node_agent.agent import Agent
from node_agent.agent_log import LogFormat, log_event, set_up_logging
from node_agent.bootstrap import build_parts, capabilities_now, environments_for
from node_agent.capabilities import find_gpus
from node_agent.checks import Finding, Level
from node_agent.control_plane import ControlPlane
from node_agent.errors import AgentError, NotPairedError, RecoverableError, RefusedError, StateDirInUseError, UnrecoverableError
from node_agent.exit_codes import ExitCode
from node_agent.retry import Backoff, retrying
from node_agent.sandbox import Sandbox
from node_agent.sandbox.bubblewrap import BubblewrapSandbox
from node_agent.settings import Settings, SettingsError, load_settings
from node_agent.state import STATUS_FILE, Identity, StateDir
from node_agent.web import InsecureUrlError, new_pool

logger = logging.getLogger("node_agent")
_PAIR_ATTEMPTS = 3

_EXIT_OF: dict[type[AgentError], ExitCode] = {
    SettingsError: ExitCode.USAGE,
    InsecureUrlError: ExitCode.USAGE,
    NotPairedError: ExitCode.NOT_PAIRED,
    StateDirInUseError: ExitCode.STATE_DIR_IN_USE,
    UnrecoverableError: ExitCode.REFUSED,
    RefusedError: ExitCode.REFUSED,
    RecoverableError: ExitCode.UNREACHABLE,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; every expected trouble is one line on stderr."""
    given = _parser().parse_args(arguments)
    set_up_logging(form=LogFormat(given.log_format or LogFormat.HUMAN), level="info")
    try:
        settings = load_settings(cli=_settings_in(given), environ=os.environ)
        set_up_logging(form=settings.log_format, level=settings.log_level)
        return int(_COMMANDS[given.command](settings, given))
    except AgentError as error:
        code = next((code for kind, code in _EXIT_OF.items() if isinstance(error, kind)), ExitCode.LOOP_DIED)
        log_event(logger, "agent.refused", level=logging.ERROR, error=str(error), exit_code=int(code))
        return int(code)


def pair(settings: Settings, given: argparse.Namespace) -> ExitCode:
    """Trade the one-time code for this machine's device key."""
    api = given.api or os.environ.get("GPU_AGENT_API")
    if not api:
        raise SettingsError("name the control plane: --api or GPU_AGENT_API")
    state = StateDir(settings.state_dir)
    with state.locked():
        sandbox_ready = not BubblewrapSandbox().check()
        request = PairRequest(
            code=given.code,
            name=given.name or platform.node()[:60] or "node",
            capabilities=capabilities_now(settings, gpus=find_gpus(), sandbox_ready=sandbox_ready),
        )
        control_plane = ControlPlane(api=api, device_key=None, pool=new_pool())
        answer = retrying(
            lambda: control_plane.pair(request),
            what="pair",
            giving_up=threading.Event(),
            attempts=_PAIR_ATTEMPTS,
            backoff=Backoff(),
        )
        state.save_identity(
            Identity(node_id=answer.node_id, device_key=answer.device_key, api=api, tier=answer.tier, name=request.name)
        )
    print(json.dumps({"node_id": answer.node_id, "tier": answer.tier, "name": request.name}))
    return ExitCode.STOPPED


def run(settings: Settings, given: argparse.Namespace) -> ExitCode:
    """Serve until stopped."""
    state = StateDir(settings.state_dir)
    identity = state.identity()
    with state.locked():
        sandbox = BubblewrapSandbox()
        problems = sandbox.check()
        for problem in problems:
            log_event(logger, "host.problem", level=logging.ERROR, problem=problem)
        if problems:
            return ExitCode.HOST_NOT_READY
        log_event(logger, "agent.start", version=AGENT_VERSION, node=identity.node_id, name=identity.name, tier=identity.tier)
        parts = build_parts(
            settings, identity=identity, sandbox=sandbox, environments=environments_for(settings), gpus=find_gpus()
        )
        agent = Agent(parts, idle_exit_seconds=given.once_idle_exit)
        agent.handle_signals()
        return agent.run()


def status(settings: Settings, _given: argparse.Namespace) -> ExitCode:
    """Print what the agent last wrote about itself, and whether it runs now."""
    state = StateDir(settings.state_dir)
    identity = state.identity()
    shown = {"node_id": identity.node_id, "name": identity.name, "tier": identity.tier, "api": identity.api}
    try:
        with state.locked():
            running = False
    except StateDirInUseError:
        running = True
    print(json.dumps({**shown, **(state.read_json(STATUS_FILE) or {}), "running": running}, indent=1))
    return ExitCode.STOPPED


def check(settings: Settings, _given: argparse.Namespace) -> ExitCode:
    """Print every finding about this host."""
    settings.work_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    findings = _findings(settings, BubblewrapSandbox())
    for finding in findings:
        print(f"{finding.level.value:8} {finding.check:8} {finding.message}")
    ready = all(finding.level is not Level.PROBLEM for finding in findings)
    return ExitCode.STOPPED if ready else ExitCode.HOST_NOT_READY


def _findings(settings: Settings, sandbox: Sandbox) -> list[Finding]:
    return [
        *checks.check_sandbox(sandbox),
        checks.check_disk(settings.work_root),
        checks.check_clock(_skew(settings)),
        checks.check_gpu(find_gpus()),
    ]


def _skew(settings: Settings) -> float | None:
    try:
        identity = StateDir(settings.state_dir).identity()
    except NotPairedError:
        return None
    return ControlPlane(api=identity.api, device_key=None, pool=new_pool()).measure_skew()


_COMMANDS = {"pair": pair, "run": run, "status": status, "check": check}


def _settings_in(given: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(given).items() if name in Settings.model_fields}


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state-dir", help="where the agent keeps its identity, work and caches (GPU_AGENT_STATE_DIR)")
    common.add_argument("--log-format", choices=["human", "json"])
    common.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    parser = argparse.ArgumentParser(prog="python -m node_agent", description="Lend this machine to the pool.")
    parser.add_argument("--version", action="version", version=AGENT_VERSION)
    commands = parser.add_subparsers(dest="command", required=True)
    joining = commands.add_parser("pair", parents=[common], help="join the pool with a one-time code")
    joining.add_argument("--api", help="the control plane's address (GPU_AGENT_API)")
    joining.add_argument("--code", required=True)
    joining.add_argument("--name", help="what you call this machine; default: its host name")
    serving = commands.add_parser("run", parents=[common], help="take units and run them")
    serving.add_argument("--cpu-slots", type=int, help="CPU units at a time (default 1)")
    serving.add_argument("--work-dir", help="where units run; default <state-dir>/work")
    serving.add_argument("--cache-limit-mb", type=int)
    serving.add_argument("--once-idle-exit", type=float, metavar="SECONDS", help="stop after this long without a unit")
    commands.add_parser("status", parents=[common], help="what the agent is doing")
    commands.add_parser("check", parents=[common], help="whether this machine can serve, and what to do if not")
    return parser


if __name__ == "__main__":
    sys.exit(main())
