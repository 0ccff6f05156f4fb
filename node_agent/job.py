"""One unit as a straight line: fetch, environment, run, collect, complete; or fail with a closed reason. Always destroyed."""

import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gpupool.wire.failures import FailureCode
from gpupool.wire.units import Doorway, Lease, UnitGrant
from node_agent.agent_log import log_event
from node_agent.cache import Cache
from node_agent.environments import Environments
from node_agent.errors import (
    AbandonedError,
    AgentError,
    LeaseLostError,
    UnitFailedError,
    UnitGoneError,
    UnrecoverableError,
)
from node_agent.in_hand import AbandonReason, UnitInHand, UnitsInHand
from node_agent.input_urls import InputsDoor, InputUrls
from node_agent.report import Reporter, collect
from node_agent.sandbox import Sandbox
from node_agent.state import read_json, write_private
from node_agent.work import RunFailedError, build_environment, fetch_inputs, run_in_sandbox

logger = logging.getLogger(__name__)
_FOLDER_PREFIX = "unit-"
_LEASE_FILE = "lease.json"
_DRAINED = "the machine's owner stopped the agent"
_RESTARTED = "the agent was killed and has restarted"


@dataclass(frozen=True)
class Tools:
    """What a job works with; one set for all jobs of an agent."""

    cache: Cache
    environments: Environments
    sandbox: Sandbox
    inputs: InputsDoor
    reporter: Reporter
    in_hand: UnitsInHand
    work_root: Path
    lease_seconds: Callable[[], float]


def do_unit(grant: UnitGrant, doorway: Doorway, tools: Tools) -> None:
    """Work on ``grant``, which came through ``doorway``, to its end.

    Nothing that a unit does raises from here, except ``UnrecoverableError``. What cannot even be reported is logged, and the
    lease lapses.
    """
    folder = tools.work_root / folder_name(grant)
    lease_ends = time.monotonic() + tools.lease_seconds()
    unit = UnitInHand(grant, folder=folder, lease_ends=lease_ends, doorway=doorway)
    log_event(logger, "unit.claimed", unit=grant.unit_id, attempt=grant.attempt, role=grant.role.value, name=grant.name)
    tools.in_hand.add(unit)
    try:
        _work_and_report(unit, tools)
    except AbandonedError:
        if unit.reason is AbandonReason.DRAINED:
            tools.reporter.give_back(unit_id=unit.unit_id, lease=unit.lease, doorway=unit.doorway, why=_DRAINED)
    except (LeaseLostError, UnitGoneError) as error:
        log_event(logger, "unit.lost", unit=unit.unit_id, attempt=grant.attempt, reason=str(error))
    except UnrecoverableError:
        raise
    except AgentError as error:
        log_event(logger, "report.refused", level=logging.ERROR, unit=unit.unit_id, error=str(error))
    except Exception:
        logger.exception("report.defect", extra=_of(unit))
    finally:
        _let_go(unit, tools)


def _let_go(unit: UnitInHand, tools: Tools) -> None:
    try:
        tools.in_hand.remove(unit)
        if unit.log is not None:
            unit.log.close()
        destroy(unit.folder, tools.sandbox)
    except Exception:
        logger.exception("unit.defect", extra=_of(unit))


def _of(unit: UnitInHand) -> dict[str, Any]:
    return {"event_keys": {"unit": unit.unit_id}}


def folder_name(grant: UnitGrant) -> str:
    """One folder per attempt; whatever an id holds, it names no other place."""
    return f"{_FOLDER_PREFIX}{re.sub(r'[^A-Za-z0-9.-]', '_', grant.unit_id)[:100]}.{grant.attempt}"


def _work_and_report(unit: UnitInHand, tools: Tools) -> None:
    started = time.monotonic()
    try:
        _work_or_report_why_not(unit, tools, started=started)
    except AgentError:
        raise
    except Exception:  # a defect that one unit meets ends that unit, not the agent and the other units
        logger.exception("unit.defect", extra=_of(unit))
        failed = UnitFailedError(FailureCode.INTERNAL, "the agent met a defect of its own")
        tools.reporter.fail(unit, failed, runtime_seconds=time.monotonic() - started)


def _work_or_report_why_not(unit: UnitInHand, tools: Tools, *, started: float) -> None:
    try:
        _work(unit, tools)
    except RunFailedError as error:
        tools.reporter.fail(unit, error, runtime_seconds=error.runtime_seconds)
    except UnitFailedError as error:
        tools.reporter.fail(unit, error, runtime_seconds=time.monotonic() - started)
    except OSError as error:
        log_event(logger, "unit.host_trouble", level=logging.ERROR, unit=unit.unit_id, error=str(error))
        failed = UnitFailedError(FailureCode.SANDBOX_FAILED, f"the machine could not handle the unit's files: {error.strerror}")
        tools.reporter.fail(unit, failed, runtime_seconds=time.monotonic() - started)


def _work(unit: UnitInHand, tools: Tools) -> None:
    _prepare_folder(unit)
    unit.open_log()
    urls = InputUrls(unit, tools.inputs)
    with tools.cache.holding(urls) as holding:
        inputs = fetch_inputs(unit, holding, urls)
        inputs = build_environment(unit, inputs, tools.environments)
        outcome = run_in_sandbox(unit, inputs, tools.sandbox)
    outputs = collect(unit, outcome.artifacts)
    tools.reporter.complete(unit, outcome, outputs)


def _prepare_folder(unit: UnitInHand) -> None:
    """The lease is noted beside the work, so that a restarted agent can return it at once instead of letting it lapse."""
    unit.folder.mkdir(mode=0o700, parents=True)
    doorway = unit.doorway.model_dump() if unit.doorway is not None else None
    lease = {"unit_id": unit.unit_id, **unit.lease.model_dump(), "doorway": doorway}
    write_private(unit.folder / _LEASE_FILE, json.dumps(lease).encode())


def destroy(folder: Path, sandbox: Sandbox) -> None:
    """Remove an attempt's folder; what the unit made goes first and through the sandbox, which knows its tricks."""
    try:
        if (folder / "sandbox").exists():
            sandbox.destroy(folder / "sandbox")
        shutil.rmtree(folder, ignore_errors=False)
    except FileNotFoundError:
        return
    except OSError as error:
        log_event(logger, "unit.leftovers", level=logging.ERROR, folder=folder.name, error=str(error))


def recover(tools: Tools) -> None:
    """At start: return the leases of units that a killed agent left, and remove their folders."""
    tools.work_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    tools.cache.recover()
    for folder in sorted(tools.work_root.glob(f"{_FOLDER_PREFIX}*")):
        noted = read_json(folder / _LEASE_FILE)
        try:
            lease = Lease.model_validate(noted)
        except ValidationError:  # killed before the lease was noted: it lapses by itself
            lease = None
        if lease is not None and noted is not None:
            doorway = _doorway_in(noted)
            tools.reporter.give_back(unit_id=str(noted.get("unit_id")), lease=lease, doorway=doorway, why=_RESTARTED)
        destroy(folder, tools.sandbox)
        log_event(logger, "unit.recovered", folder=folder.name)


def _doorway_in(noted: dict[str, Any]) -> Doorway | None:
    """A lease is worth returning without its doorway too."""
    try:
        return Doorway.model_validate(noted.get("doorway"))
    except ValidationError:
        return None
