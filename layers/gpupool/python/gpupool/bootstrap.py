"""The composition root: what each door and each step is made of. The only place that joins services to adapters."""

from dataclasses import dataclass
from functools import cache

from gpupool.accounts.service import Accounts
from gpupool.accounts.tickets import Tickets
from gpupool.clock import Clock
from gpupool.events.service import Announcer
from gpupool.idempotency.service import Once
from gpupool.jobs.service import Jobs
from gpupool.jobs.submit import Submissions
from gpupool.ledger.service import Credits
from gpupool.limits.model import Allowance
from gpupool.limits.service import Limits, rates
from gpupool.logs.service import Logs
from gpupool.nodes.service import Nodes, NodeTerms, Pairing
from gpupool.pages import Cursors
from gpupool.ports import AwsPorts, Ports
from gpupool.recovery.endings import EndCheck
from gpupool.recovery.holds import HoldCheck
from gpupool.recovery.service import Recovery
from gpupool.recovery.units import UnitCheck
from gpupool.settings import Settings, settings
from gpupool.units.cadence import Cadence
from gpupool.units.service import Leases
from gpupool.uploads.service import Uploads
from gpupool.usage.service import Usage
from gpupool.webhooks.deliverer import Deliverer, Sweep
from gpupool.webhooks.fan_out import FanOut
from gpupool.webhooks.service import Webhooks
from gpupool.workflow.closing import Closing
from gpupool.workflow.dead_letters import DeadLetters
from gpupool.workflow.outbox import Outbox
from gpupool.workflow.planning import Planning
from gpupool.workflow.service import TrainingWorkflow
from gpupool.workflow.settle import Settlement
from gpupool.workflow.tending import Tending


@dataclass(frozen=True, slots=True)
class CustomerCore:
    """What the customer door calls."""

    accounts: Accounts
    tickets: Tickets
    uploads: Uploads
    jobs: Jobs
    logs: Logs
    credits: Credits
    usage: Usage
    limits: Limits
    webhooks: Webhooks
    allowance: Allowance
    cursors: Cursors
    clock: Clock
    stage: str
    build: str
    portal_origin: str


@dataclass(frozen=True, slots=True)
class NodeCore:
    """What the node door calls."""

    pairing: Pairing
    nodes: Nodes
    leases: Leases


def build_customer_core(ports: Ports) -> CustomerCore:
    jobs = build_jobs(ports)
    return CustomerCore(
        accounts=build_accounts(ports),
        tickets=build_tickets(ports),
        uploads=Uploads(store=ports.uploads, objects=ports.objects, once=build_once(ports), clock=ports.clock),
        jobs=jobs,
        logs=Logs(jobs=jobs, units=ports.units, objects=ports.objects),
        limits=build_limits(ports),
        webhooks=build_webhooks(ports),
        credits=build_credits(ports),
        usage=build_usage(ports),
        cursors=Cursors(secret=ports.signing_secret, clock=ports.clock),
        clock=ports.clock,
        allowance=allowance(ports.settings),
        stage=ports.settings.stage,
        build=ports.settings.build,
        portal_origin=ports.settings.portal_origin,
    )


def build_jobs(ports: Ports) -> Jobs:
    return Jobs(
        jobs=ports.jobs,
        units=ports.units,
        events=ports.events,
        submissions=build_submissions(ports),
        objects=ports.objects,
        clock=ports.clock,
    )


def build_limits(ports: Ports) -> Limits:
    known = ports.settings
    return Limits(
        store=ports.limits,
        rates=rates(
            requests_per_minute=known.requests_per_minute,
            jobs_per_minute=known.jobs_per_minute,
            logins_per_minute=known.logins_per_minute,
        ),
    )


def build_submissions(ports: Ports) -> Submissions:
    return Submissions(
        jobs=ports.jobs,
        ledger=ports.ledger,
        transitions=ports.transitions,
        allowance=allowance(ports.settings),
        clock=ports.clock,
        new_id=ports.new_id,
    )


def allowance(known: Settings) -> Allowance:
    return Allowance(live_jobs=known.live_jobs, units_per_day=known.units_per_day)


def build_accounts(ports: Ports) -> Accounts:
    return Accounts(
        store=ports.accounts,
        passwords=ports.passwords,
        limits=build_limits(ports),
        once=build_once(ports),
        secret=ports.signing_secret,
        random_hex=ports.random_hex,
        clock=ports.clock,
    )


def build_tickets(ports: Ports) -> Tickets:
    return Tickets(
        store=ports.accounts,
        passwords=ports.passwords,
        credits=build_credits(ports),
        random_hex=ports.random_hex,
        clock=ports.clock,
    )


def build_once(ports: Ports) -> Once:
    return Once(store=ports.idempotency, clock=ports.clock, new_id=ports.new_id)


def build_credits(ports: Ports) -> Credits:
    return Credits(ledger=ports.ledger, clock=ports.clock)


def build_usage(ports: Ports) -> Usage:
    return Usage(credits=build_credits(ports), objects=ports.objects, clock=ports.clock)


def build_pairing(ports: Ports) -> Pairing:
    return Pairing(store=ports.nodes, random_hex=ports.random_hex, clock=ports.clock, new_id=ports.new_id)


def build_node_core(ports: Ports) -> NodeCore:
    known = ports.settings
    terms = NodeTerms(region=ports.region, heartbeat_seconds=known.heartbeat_seconds, lease_seconds=known.lease_seconds)
    return NodeCore(
        pairing=build_pairing(ports),
        nodes=Nodes(store=ports.nodes, issuer=ports.issuer, queues=ports.queue_urls, terms=terms, clock=ports.clock),
        leases=Leases(
            units=ports.units,
            jobs=ports.jobs,
            objects=ports.objects,
            queue=ports.queue,
            random_hex=ports.random_hex,
            clock=ports.clock,
            cadence=Cadence(known.heartbeat_seconds, known.heartbeat_most_seconds, known.lease_seconds),
        ),
    )


def build_workflow(ports: Ports) -> TrainingWorkflow:
    jobs, units, clock = ports.jobs, ports.units, ports.clock
    settlement = build_settlement(ports)
    return TrainingWorkflow(
        jobs=jobs,
        executions=ports.executions,
        planning=Planning(jobs=jobs, units=units, uploads=ports.uploads, clock=clock),
        tending=Tending(
            jobs=jobs,
            units=units,
            settlement=settlement,
            executions=ports.executions,
            clock=clock,
            released=ports.settings.release_window,
        ),
        closing=Closing(jobs=jobs, units=units, transitions=ports.transitions, settlement=settlement, clock=clock),
    )


def build_settlement(ports: Ports) -> Settlement:
    return Settlement(jobs=ports.jobs, transitions=ports.transitions, units=ports.units, clock=ports.clock)


def build_outbox(ports: Ports) -> Outbox:
    return Outbox(
        jobs=ports.jobs,
        queue=ports.queue,
        executions=ports.executions,
        settlement=build_settlement(ports),
        announcer=Announcer(events=ports.events, ledger=ports.ledger, idempotency=ports.idempotency),
    )


def build_fan_out(ports: Ports) -> FanOut:
    return FanOut(store=ports.webhooks, queue=ports.webhook_queue, clock=ports.clock)


def build_webhooks(ports: Ports) -> Webhooks:
    return Webhooks(
        store=ports.webhooks,
        fan_out=build_fan_out(ports),
        queue=ports.webhook_queue,
        once=build_once(ports),
        random_hex=ports.random_hex,
        insecure_hosts=ports.settings.webhook_insecure_hosts,
        clock=ports.clock,
    )


def build_deliverer(ports: Ports) -> Deliverer:
    return Deliverer(
        store=ports.webhooks, queue=ports.webhook_queue, sender=ports.sender, jitter=ports.jitter, clock=ports.clock
    )


def build_sweep(ports: Ports) -> Sweep:
    return Sweep(store=ports.webhooks, queue=ports.webhook_queue, clock=ports.clock)


def build_dead_letters(ports: Ports) -> DeadLetters:
    return DeadLetters(jobs=ports.jobs, units=ports.units, queue=ports.queue, clock=ports.clock)


def build_recovery(ports: Ports) -> Recovery:
    settlement, fan_out = build_settlement(ports), build_fan_out(ports)
    return Recovery(
        jobs=ports.jobs,
        executions=ports.executions,
        workflow=build_workflow(ports),
        queue=ports.queue,
        webhooks=ports.webhooks,
        units=UnitCheck(
            units=ports.units, queue=ports.queue, settlement=settlement, outbox=build_outbox(ports), clock=ports.clock
        ),
        endings=EndCheck(events=ports.events, webhooks=ports.webhooks, fan_out=fan_out, clock=ports.clock),
        holds=HoldCheck(ledger=ports.ledger, limits=ports.limits, jobs=ports.jobs),
        clock=ports.clock,
    )


@cache
def ports() -> AwsPorts:
    """This process's adapters."""
    return AwsPorts(settings())


@cache
def customer_core() -> CustomerCore:
    return build_customer_core(ports())


@cache
def node_core() -> NodeCore:
    return build_node_core(ports())


@cache
def workflow() -> TrainingWorkflow:
    return build_workflow(ports())


@cache
def outbox() -> Outbox:
    return build_outbox(ports())


@cache
def fan_out() -> FanOut:
    return build_fan_out(ports())


@cache
def deliverer() -> Deliverer:
    return build_deliverer(ports())


@cache
def sweep() -> Sweep:
    return build_sweep(ports())


@cache
def dead_letters() -> DeadLetters:
    return build_dead_letters(ports())


@cache
def recovery() -> Recovery:
    return build_recovery(ports())
