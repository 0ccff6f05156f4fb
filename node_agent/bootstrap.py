"""The one place where the agent's parts are chosen and put together."""

import functools
import threading

import urllib3

from gpupool.wire.capabilities import Capabilities, Gpu
from gpupool.wire.joining import CredentialsRequest, CredentialsResponse
from node_agent.agent import Parts
from node_agent.cache import Cache
from node_agent.capabilities import BYTES_PER_MB, measure_capabilities
from node_agent.control_plane import ControlPlane
from node_agent.credentials import CredentialKeeper
from node_agent.environments import Environments, EnvironmentStore
from node_agent.heartbeat import Heartbeat, PollHealth
from node_agent.in_hand import UnitsInHand
from node_agent.inbox import SqsInbox
from node_agent.job import Tools
from node_agent.lanes import lanes_for
from node_agent.log_shipper import LogShipper
from node_agent.poller import Poller
from node_agent.report import Reporter
from node_agent.sandbox import Sandbox
from node_agent.settings import Settings
from node_agent.speed import measured_gflops
from node_agent.state import Identity, StateDir
from node_agent.status_file import StatusFile
from node_agent.web import new_pool

SANDBOX_NAME = "bubblewrap"
_LARGEST_ENVIRONMENT_MB = 15_000


def capabilities_now(settings: Settings, *, gpus: list[Gpu], sandbox_ready: bool) -> Capabilities:
    settings.work_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    return measure_capabilities(
        work_root=settings.work_root,
        sandbox=SANDBOX_NAME if sandbox_ready else "none",
        gflops=measured_gflops(StateDir(settings.state_dir)),
        gpus=gpus,
    )


def environments_for(settings: Settings) -> Environments:
    """The environments of this machine, built where no build can see the agent's own files."""
    most = settings.environment_limit_mb * BYTES_PER_MB
    return EnvironmentStore(
        settings.cache_root / "environments",
        hidden=(settings.state_dir, settings.work_root),
        max_bytes=most,
        max_environment_bytes=min(most, _LARGEST_ENVIRONMENT_MB * BYTES_PER_MB),
    )


def build_parts(
    settings: Settings, *, identity: Identity, sandbox: Sandbox, environments: Environments, gpus: list[Gpu]
) -> Parts:
    """The parts of an agent. ``sandbox`` must have passed its check."""
    pool = new_pool()
    control_plane = ControlPlane(api=identity.api, device_key=identity.device_key, pool=pool)
    keeper = _new_keeper(settings, control_plane, gpus)
    inbox, in_hand = SqsInbox(keeper, poll_seconds=settings.poll_seconds), UnitsInHand()
    tools = Tools(
        cache=_new_cache(settings, pool),
        environments=environments,
        sandbox=sandbox,
        inputs=control_plane,
        reporter=Reporter(control_plane, pool=pool),
        in_hand=in_hand,
        work_root=settings.work_root,
        lease_seconds=lambda: keeper.lease_seconds,
    )
    status = StatusFile(StateDir(settings.state_dir), identity=identity, in_hand=in_hand)
    stopping, health, shipper = threading.Event(), PollHealth(), LogShipper(pool)
    heartbeat = Heartbeat(
        control_plane,
        in_hand=in_hand,
        shipper=shipper,
        health=health,
        draining=stopping,
        lease_seconds=lambda: keeper.lease_seconds,
        grace_seconds=settings.lease_grace_seconds,
        on_beat=status.write,
    )
    return Parts(
        keeper=keeper,
        heartbeat=heartbeat,
        shipper=shipper,
        tools=tools,
        lanes=lanes_for(cpu_slots=settings.cpu_slots, has_gpu=bool(gpus)),
        new_poller=functools.partial(Poller, inbox=inbox, control_plane=control_plane, health=health, stopping=stopping),
        stopping=stopping,
        write_status=status.note,
    )


def _new_cache(settings: Settings, pool: urllib3.PoolManager) -> Cache:
    return Cache(settings.cache_root, limit_bytes=settings.cache_limit_mb * BYTES_PER_MB, pool=pool)


def _new_keeper(settings: Settings, control_plane: ControlPlane, gpus: list[Gpu]) -> CredentialKeeper:
    """Every renewal also tells what the machine can do by then: disks fill."""

    def fetch() -> CredentialsResponse:
        capabilities = capabilities_now(settings, gpus=gpus, sandbox_ready=True)
        return control_plane.credentials(CredentialsRequest(capabilities=capabilities))

    return CredentialKeeper(fetch, skew_seconds=lambda: control_plane.skew_seconds)
