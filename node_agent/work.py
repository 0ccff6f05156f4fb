"""The middle of a unit: its inputs, its environment, its run. Only fresh URLs for inputs come from the control plane."""

import logging
from dataclasses import dataclass, replace

from gpupool.wire import units as wire
from gpupool.wire.failures import FailureCode
from gpupool.wire.vocabulary import UnitRole
from node_agent.agent_log import log_event
from node_agent.cache import Holding
from node_agent.capabilities import BYTES_PER_MB, memory_bytes
from node_agent.environments import EnvironmentAbandonedError, EnvironmentFailedError, Environments
from node_agent.errors import AbandonedError, UnitFailedError
from node_agent.in_hand import Stage, UnitInHand
from node_agent.input_urls import InputUrls
from node_agent.sandbox import (
    Limits,
    NeedFile,
    NeedInput,
    OutcomeStatus,
    Sandbox,
    UnitFiles,
    UnitOutcome,
    UnitSpec,
)
from node_agent.selection import Selection, Trial, select

logger = logging.getLogger(__name__)

_READS_DATASET = frozenset({UnitRole.PREPARE, UnitRole.TRAIN, UnitRole.EVALUATE, UnitRole.RUN})
_RUNS_PACKAGE = frozenset({UnitRole.TRAIN, UnitRole.EVALUATE, UnitRole.RUN})
# The sandbox ends a unit at its wall time; when even that does not come, the sandbox itself is broken.
_SANDBOX_OVERTIME = 120.0
_SANDBOX_END = 30.0
# What one unit may take of the host at most; the rest is the owner's and the agent's.
_HOST_MEMORY_SHARE = 0.85


@dataclass(frozen=True)
class Inputs:
    """Verified files, held in the cache while the unit runs."""

    files: UnitFiles
    spec: UnitSpec


def fetch_inputs(unit: UnitInHand, holding: Holding, urls: InputUrls) -> Inputs:
    """Bring everything that the unit reads. Raises ``UnitFailedError`` (INPUT_*), ``AbandonedError`` or ``LeaseLostError``."""
    unit.enter(Stage.FETCHING)
    grant = unit.grant
    package = holding.fetch(grant.package, stop=unit.abandoned)
    # The dataset is the largest as a rule, so what comes before it arrives while the URLs are young.
    selection = _select(unit, urls) if grant.role is UnitRole.SELECT else None
    pages = urls.pages() if selection is None else [urls.named(selection.unit_ids)]
    needs = tuple(_fetch_need(need, unit=unit, holding=holding) for page in pages for need in page)
    dataset = holding.fetch(grant.dataset.download, stop=unit.abandoned) if grant.role in _READS_DATASET else None
    root = unit.folder / "sandbox"
    root.mkdir(mode=0o700)
    spec = UnitSpec(
        role=grant.role,
        entry=grant.entry,
        parameters=grant.parameters,
        args=tuple(grant.args),
        objective=grant.objective,
        goal=grant.goal,
        dataset_name=grant.dataset.name,
        dataset_content_type=grant.dataset.content_type,
        needs=needs,
        selection=selection.document if selection else None,
        has_gpu=grant.required_vram_mb > 0,
    )
    return Inputs(files=UnitFiles(root=root, package=package, dataset=dataset), spec=spec)


def _select(unit: UnitInHand, urls: InputUrls) -> Selection:
    """Every lane's measure is listed before any file is fetched, and then one lane's files only."""
    trials = [
        Trial(need.unit_id, need.unit_name, need.role, need.measured) for page in urls.pages(outputs=False) for need in page
    ]
    return select(trials, objective=unit.grant.objective or "", goal=unit.grant.goal)


def _fetch_need(need: wire.NeedInput, *, unit: UnitInHand, holding: Holding) -> NeedInput:
    files = tuple(
        NeedFile(name=output.name, path=holding.fetch(output.download, stop=unit.abandoned)) for output in need.outputs
    )
    return NeedInput(unit_name=need.unit_name, role=need.role, files=files)


def build_environment(unit: UnitInHand, inputs: Inputs, environments: Environments) -> Inputs:
    """Add the package's environment, when the package's code is what runs."""
    if unit.grant.role not in _RUNS_PACKAGE:
        return inputs
    unit.enter(Stage.BUILDING)
    try:
        environment = environments.for_package(inputs.files.package, requirements=unit.grant.requirements, stop=unit.abandoned)
    except EnvironmentAbandonedError as error:
        raise AbandonedError("building environment") from error
    except EnvironmentFailedError as error:
        raise UnitFailedError(FailureCode.ENVIRONMENT_FAILED, str(error)) from error
    files = UnitFiles(
        root=inputs.files.root, package=inputs.files.package, dataset=inputs.files.dataset, environment=environment
    )
    return Inputs(files=files, spec=inputs.spec)


def run_in_sandbox(unit: UnitInHand, inputs: Inputs, sandbox: Sandbox) -> UnitOutcome:
    """Run to the end: a success is returned, everything else raised. No process of the unit is left in either case."""
    unit.enter(Stage.RUNNING)
    limits = limits_here(unit.grant.limits, host_memory=memory_bytes())
    running = sandbox.start(inputs.spec, inputs.files, limits=limits, on_output=unit.on_output)
    unit.attach(running)
    outcome = running.wait(limits.wall_seconds + _SANDBOX_OVERTIME)
    if outcome is None:
        log_event(logger, "sandbox.stuck", level=logging.ERROR, unit=unit.unit_id)
        running.cancel()
        running.wait(_SANDBOX_END)
        raise UnitFailedError(FailureCode.SANDBOX_FAILED, "the sandbox did not end the unit at its time limit")
    return judge(unit, outcome)


def limits_here(granted: wire.Limits, *, host_memory: int) -> Limits:
    """What was granted, but never so much memory that the owner's machine would have to swap or kill for it."""
    own = Limits(**granted.model_dump())
    return replace(own, memory_mb=min(own.memory_mb, int(_HOST_MEMORY_SHARE * host_memory / BYTES_PER_MB)))


def judge(unit: UnitInHand, outcome: UnitOutcome) -> UnitOutcome:
    """What an outcome means here. An order to end counts for more than how the killed program ended."""
    unit.raise_if_abandoned()
    if outcome.status is OutcomeStatus.SUCCEEDED:
        return outcome
    if outcome.status is OutcomeStatus.FAILED:
        raise RunFailedError(outcome)
    raise UnitFailedError(FailureCode.SANDBOX_FAILED, "the sandbox ended the unit without being asked to")


class RunFailedError(UnitFailedError):
    """The unit ran and failed."""

    def __init__(self, outcome: UnitOutcome) -> None:
        super().__init__(outcome.code or FailureCode.SANDBOX_FAILED, outcome.message, exit_code=outcome.exit_code)
        self.runtime_seconds = outcome.runtime_seconds
