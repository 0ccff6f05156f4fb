"""Counts what one job is billed: the real handlers in the in-process cloud, one machine with an agent's calls, and the meter.

How batches form: whatever one call of a machine sets off is delivered before the next call, so a completion is a batch of its
own; what one handler writes at once, such as a plan's units, is delivered in the batches that the template allows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from bench.cost.agent import UNIT_SECONDS, Agent
from bench.cost.lengths import accept_long_tokens, lengthen_receipts, long_token
from bench.cost.meter import Charge, Meter
from bench.cost.prices import Item, Usage
from bench.cost.tables import Tables
from gpupool import aws
from infra.settings import read_settings
from tests.cloud.calls import Invocation
from tests.cloud.cloud import Cloud, running
from tests.cloud.functions import Invoke, Result
from tests.cloud.people import Customer
from tests.cloud.template import deployed_template

_DOORS = frozenset({"customer_api", "node_api"})
_PLENTY = 1_000_000_000
# An execution's start and end are transitions beside those into its states.
_START_AND_END = 2
_DEPLOYED = read_settings(lambda _key: None)
WAIT_SECONDS, WINDOW = _DEPLOYED.advance_timeout_seconds, _DEPLOYED.release_window
_BY_THE_CLOCK = " schedule"
# Keys live an hour, and a machine renews them when three quarters of it are over.
KEYS_SECONDS = 2700


@dataclass(frozen=True)
class Counted:
    """``charges`` are those of the job from its submission to its end, without heartbeats; ``heartbeats`` are those of one unit
    of ten minutes. ``waiting`` is one time-out of the execution's wait while all units wait for machines, for a job that was
    counted with it. ``rounds``: how often a round over the job's units began or went on.
    """

    units: int
    charges: tuple[Charge, ...]
    heartbeats: tuple[Usage, ...]
    idle_heartbeat: Usage
    idle_seconds: int
    keys: Usage
    waiting: Usage
    rounds: int

    @property
    def job(self) -> Usage:
        return Usage.total(charge.usage for charge in self.charges)

    @property
    def beating(self) -> Usage:
        """What a machine says while it works on one unit of ten minutes: heartbeats, and its share of the renewal of keys."""
        return Usage.total(self.heartbeats) + self.keys * (UNIT_SECONDS / KEYS_SECONDS)


def count(manifest: str, *, waits: bool = False, window: int = WINDOW) -> Counted:
    """One job of a package with that manifest, worked off to its end, after it has waited for once if it ``waits``.
    ``window``: how many of its units may be released at a time."""
    with pytest.MonkeyPatch.context() as patch, metered(patch, RELEASE_WINDOW=str(window)) as (cloud, meter):
        agent = Agent(cloud, meter)
        first_beat, keys = _of(meter, agent.renew_keys)
        idle_seconds, idle = _of(meter, agent.beat)
        # As if it came from another unit: what it says while it works on one is then what each in a row costs.
        cloud.pass_time(UNIT_SECONDS)
        customer = Customer(cloud, credits=_PLENTY)
        inputs = customer.inputs(manifest)
        meter.charges.clear()
        job_id = customer.submit(inputs)
        cloud.settle()
        waiting, waited = _wait(cloud, meter) if waits else (Usage(), 0)
        beats = _work_off(cloud, agent, meter, first_beat=first_beat)
        job = cloud.ports.jobs.get(job_id)
        if job is None or str(job.status) != "completed":
            raise RuntimeError(f"the job did not complete: {job}; {cloud.functions.errors}")
        with meter.during("state machine"):
            meter.charge("transition", _transitions(_steps(cloud) - waited + _START_AND_END * len(cloud.states.executions)))
        rounds = sum(execution.path.count("Tend") for execution in cloud.states.executions.values())
        return Counted(job.units_total, tuple(meter.charges), beats, idle, idle_seconds, keys, waiting, rounds)


@contextmanager
def metered(patch: pytest.MonkeyPatch, **settings: str) -> Iterator[tuple[Cloud, Meter]]:
    """An empty deployment with the sizes of the template and the cadence of production, every client watched."""
    template = deployed_template()
    with running(
        patch,
        template=template,
        LEASE_SECONDS=str(_DEPLOYED.lease_seconds),
        HEARTBEAT_SECONDS=str(_DEPLOYED.heartbeat_seconds),
        HEARTBEAT_MOST_SECONDS=str(_DEPLOYED.heartbeat_most_seconds),
        LIVE_JOBS=str(_PLENTY),
        UNITS_PER_DAY=str(_PLENTY),
        LOG_LEVEL="CRITICAL",
        **settings,
    ) as cloud:
        functions = template.properties("AWS::Lambda::Function").values()
        memory = {str(each["Handler"]).split(".")[1]: int(each["MemorySize"]) for each in functions}
        meter = Meter(Tables(cloud.deployment.dynamodb), memory_mb=memory)
        lengthen_receipts(aws.sqs(), cloud.deployment.sqs)
        accept_long_tokens(aws.stepfunctions())
        for client in (aws.dynamodb(), aws.sqs(), aws.s3(), aws.stepfunctions(), aws.sts()):
            meter.watch(client)
        cloud.functions.around = lambda invocation, run: _invoked(meter, invocation, run)
        yield cloud, meter


def _invoked(meter: Meter, invocation: Invocation, run: Invoke) -> Result:
    """Charges an invocation, and the request of those that come through the API."""
    event = invocation.event
    if "task_token" in event:
        invocation.event = event | {"task_token": long_token(event["task_token"])}
    records = len(event.get("Records", ())) or 1
    with meter.invocation(invocation.room, _what(invocation), records=records):
        if invocation.room in _DOORS:
            meter.charge("API request", Usage.of(Item.API_REQUEST))
        return run(invocation)


def _what(invocation: Invocation) -> str:
    """The trigger, once for a batch of equals."""
    source, colon, records = invocation.trigger.partition(": ")
    return f"{source}{colon}{' + '.join(dict.fromkeys(records.split(' + ')))}"


def _work_off(cloud: Cloud, agent: Agent, meter: Meter, *, first_beat: int) -> tuple[Usage, ...]:
    """Works on whatever rings until nothing does. The first unit's heartbeats, for ten minutes; they are not left among the
    charges, nor is the single one of every other unit, which is there because a row grows by what a heartbeat says."""
    beats: tuple[Usage, ...] = ()
    while (heard := agent.poll()) is not None:
        grant = agent.claim(heard)
        if grant is None:
            raise RuntimeError("a claim was refused though nobody else works")
        cloud.settle()
        until = first_beat + 1 if beats else UNIT_SECONDS
        found = _beat(cloud, agent, meter, grant, at=first_beat, until=until)
        beats = beats or found
        agent.work(grant)
        cloud.settle()
    return beats


def _beat(cloud: Cloud, agent: Agent, meter: Meter, grant: Any, *, at: int, until: int) -> tuple[Usage, ...]:
    """Heartbeats when the control plane asks for them. Time passes with those of a whole unit, so that its lease is tested."""
    beats, age = [], 0
    while at < until:
        before = len(meter.charges)
        if until == UNIT_SECONDS:
            cloud.pass_time(at - age)
        age = at
        at += agent.beat(grant, age=age)
        cloud.settle()
        beats.append(_taken(meter, before))
    return tuple(beats)


def _wait(cloud: Cloud, meter: Meter) -> tuple[Usage, int]:
    """One time-out of the execution's wait: what it is billed, and how many states were entered."""
    before, steps = len(meter.charges), _steps(cloud)
    cloud.pass_time(WAIT_SECONDS + 1)
    entered = _steps(cloud) - steps
    return _taken(meter, before) + _transitions(entered), entered


def _taken(meter: Meter, before: int) -> Usage:
    """What was charged since then, without what runs by the clock whether there are jobs or not; it is taken out."""
    found = [charge.usage for charge in meter.charges[before:] if not charge.source.endswith(_BY_THE_CLOCK)]
    del meter.charges[before:]
    return Usage.total(found)


def _steps(cloud: Cloud) -> int:
    """States that executions have entered."""
    return sum(len(execution.path) for execution in cloud.states.executions.values())


def _transitions(count: int) -> Usage:
    return Usage.of(Item.STATE_TRANSITION, count)


def _of(meter: Meter, act: Callable[[], int]) -> tuple[int, Usage]:
    before = len(meter.charges)
    answer = act()
    return answer, Usage.total(charge.usage for charge in meter.charges[before:])
