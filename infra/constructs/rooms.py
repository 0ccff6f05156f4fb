"""The functions of this deployment: one per room of `functions/`, with its size."""

from aws_cdk import Duration
from constructs import Construct

from infra.constructs.bundling import functions_code
from infra.constructs.function import FunctionKit, FunctionSize, RoomFunction, common_variables
from infra.constructs.layers import Layers
from infra.settings import StageSettings

# An API waits for nothing but tables, and its callers give up before the gateway's 30 s.
_API = FunctionSize(memory_mb=1024, timeout_seconds=20)
# Machines call it far more often than people call the other door, and do not mind some milliseconds more.
_NODE_API = FunctionSize(memory_mb=512, timeout_seconds=20)
_STEP = FunctionSize(memory_mb=512, timeout_seconds=60)
_EVENT = FunctionSize(memory_mb=512, timeout_seconds=60)
# A batch of two receivers, each of which may take as long as a request may.
_SENDER = FunctionSize(memory_mb=256, timeout_seconds=60)


class Rooms(Construct):
    """Every room's function, by name."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: StageSettings) -> None:
        super().__init__(scope, construct_id)
        kit = FunctionKit(
            settings=settings,
            code=functions_code(compiled=settings.bundle_deps),
            layers=Layers(self, "Layers", settings=settings).all,
        )
        lease = {
            "LEASE_SECONDS": str(settings.lease_seconds),
            "HEARTBEAT_SECONDS": str(settings.heartbeat_seconds),
            "HEARTBEAT_MOST_SECONDS": str(settings.heartbeat_most_seconds),
        }
        window = {"RELEASE_WINDOW": str(settings.release_window)}
        self.customer_api = RoomFunction(self, "customer_api", kit=kit, size=_API)
        limits = {name.upper(): str(most) for name, most in settings.limits.items()}
        told = {"BUILD": settings.build, "PORTAL_ORIGIN": settings.portal_origin}
        self.customer_api.know({**limits, **told})
        self.node_api = RoomFunction(self, "node_api", kit=kit, size=_NODE_API)
        self.node_api.know(lease)
        self.plan_job = RoomFunction(self, "plan_job", kit=kit, size=_STEP)
        self.tend_job = RoomFunction(self, "tend_job", kit=kit, size=_STEP)
        self.advance_job = RoomFunction(self, "advance_job", kit=kit, size=_STEP)
        self.close_job = RoomFunction(self, "close_job", kit=kit, size=_STEP)
        self.on_job_written = RoomFunction(self, "on_job_written", kit=kit, size=_EVENT)
        self.on_unit_written = RoomFunction(self, "on_unit_written", kit=kit, size=_EVENT)
        self.on_event_written = RoomFunction(self, "on_event_written", kit=kit, size=_EVENT)
        self.deliver_webhook = RoomFunction(self, "deliver_webhook", kit=kit, size=_SENDER)
        self.sweep_webhooks = RoomFunction(self, "sweep_webhooks", kit=kit, size=_EVENT)
        self.reconcile = RoomFunction(self, "reconcile", kit=kit, size=_EVENT)
        self.on_dead_letter = RoomFunction(self, "on_dead_letter", kit=kit, size=_EVENT)
        for function in (self.plan_job, self.tend_job, self.reconcile):
            function.know(window)
        self.common_variables = {**common_variables("operator", settings=settings), **lease, **limits, **told, **window}

    @property
    def all(self) -> list[RoomFunction]:
        return [room for room in self.node.children if isinstance(room, RoomFunction)]

    @property
    def dead_letter_visibility(self) -> Duration:
        """Six times the handler's timeout, as Lambda asks of a queue that it polls, so that no letter is read twice at once."""
        return Duration.seconds(6 * _EVENT.timeout_seconds)
