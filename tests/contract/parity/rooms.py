"""Any sequence of operations on the rooms that stand alone: events, nodes, accounts and webhooks."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from gpupool.accounts.model import ApiKey, Customer, Purpose, Scope, Session, Ticket
from gpupool.accounts.store import AccountStore
from gpupool.events.model import SUBSCRIBABLE, Event, EventType
from gpupool.events.store import EventStore
from gpupool.nodes.model import Node, PairingCode, Sighting, Tier
from gpupool.nodes.store import NodeStore
from gpupool.webhooks.model import Attempt, Delivery, DeliveryStatus, Endpoint
from gpupool.webhooks.store import WebhookStore
from tests.contract.both import Stores
from tests.contract.parity.alike import Refused, StoresPlayer, all_pages, operation
from tests.factories import NOW
from tests.support.nodes import a_node, some_capabilities

moments = st.sampled_from([0, 0.000001, 0.25, 1, 59.5, 60, 3_600]).map(lambda seconds: NOW + timedelta(seconds=seconds))
scalars = st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=4), st.floats(-9, 9).map(lambda each: each // 1 + 0.5))
facts = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=2)),
)


class Events(StoresPlayer):
    ports = {"events": EventStore}
    tables = ("events",)
    jobs = ("job-1", "job-2")

    def readable(self, side: Stores) -> Any:
        return [all_pages(lambda key, job=job: side.events.page(job, limit=3, key=key)) for job in self.jobs]

    @operation(
        events=st.lists(
            st.builds(
                Event,
                id=st.sampled_from(["a", "b", "c"]),
                customer_id=st.just("customer"),
                job_id=st.sampled_from(jobs),
                type=st.sampled_from(EventType),
                at=moments,
                data=st.dictionaries(st.text(min_size=1, max_size=3), facts, max_size=2),
            ),
            max_size=3,
        ).map(tuple)
    )
    def add(self, events: tuple[Event, ...]) -> None:
        self.both(lambda side: side.events.add(events))

    @operation(which=st.sampled_from(["a", "b", "c"]), job=st.sampled_from(jobs), at=moments)
    def has(self, which: str, job: str, at: datetime) -> None:
        self.both(lambda side: side.events.has(Event(which, "customer", job, EventType.JOB_FAILED, at)))

    @operation(job=st.sampled_from(jobs), limit=st.integers(1, 3), start=st.booleans())
    def page(self, job: str, limit: int, start: bool) -> None:
        self.turn(job, lambda side, key: side.events.page(job, limit=limit, key=key), start=start)


CODES = ("a" * 64, "b" * 64)
NODES = ("node-1", "node-2")
codes = st.builds(PairingCode, st.sampled_from(CODES), st.sampled_from(Tier), moments)


class Nodes(StoresPlayer):
    ports = {"nodes": NodeStore}
    tables = ("nodes",)

    def __init__(self, *sides: Stores) -> None:
        super().__init__(*sides)
        self.codes: list[PairingCode] = []

    def readable(self, side: Stores) -> Any:
        return [[side.nodes.find_code(code) for code in CODES], [side.nodes.get(node) for node in NODES]]

    @operation(code=codes)
    def add_code(self, code: PairingCode) -> None:
        self.both(lambda side: side.nodes.add_code(code))
        self.codes.append(code)

    @operation(
        needs="codes",
        back=st.integers(0, 2),
        node=st.sampled_from(NODES),
        after=st.sampled_from([0, 899, 899.75, 900, 900.5, 901]),
    )
    def redeem(self, back: int, node: str, after: float) -> None:
        code = self.codes[-1 - back % len(self.codes)]
        known: PairingCode | None = self.both(lambda side: side.nodes.find_code(code.code_hash))
        begun = (known or code).created_at
        joining: Node = a_node(id=node, tier=code.tier, paired_at=begun + timedelta(seconds=after))
        self.both(lambda side: side.nodes.redeem(known or code, joining))

    @operation(
        node=st.sampled_from(NODES),
        at=moments,
        vram=st.sampled_from([None, 0, 24_000]),
        draining=st.sampled_from([None, True, False]),
        polled=st.one_of(st.none(), moments),
    )
    def seen(self, node: str, at: datetime, vram: int | None, draining: bool | None, polled: datetime | None) -> None:
        found = None if vram is None else some_capabilities(vram_mb=vram)
        self.both(lambda side: side.nodes.seen(node, Sighting(at, found, draining, polled)))

    @operation(node=st.sampled_from(NODES), at=moments)
    def revoke(self, node: str, at: datetime) -> None:
        self.both(lambda side: side.nodes.revoke(node, at=at))

    @operation(node=st.sampled_from(NODES))
    def get(self, node: str) -> None:
        self.both(lambda side: side.nodes.get(node))


OWNERS = ("c-ada", "c-bob")
EMAILS = ("ada@example.com", "Ada@Example.com", "bob@example.com")
TOKENS = ("1" * 64, "2" * 64, "3" * 64)
LOOKUPS = ("00000001", "00000002", "00000003")
sessions = st.builds(Session, st.sampled_from(TOKENS[:2]), st.sampled_from(OWNERS), moments, moments)
tickets = st.builds(
    Ticket,
    st.sampled_from(TOKENS[:2]),
    st.sampled_from(Purpose),
    st.sampled_from(OWNERS),
    st.sampled_from(EMAILS),
    moments,
    moments,
    credits=st.sampled_from([0, 100]),
)


class Accounts(StoresPlayer):
    ports = {"accounts": AccountStore}
    tables = ("customers", "keys")

    def __init__(self, *sides: Stores) -> None:
        super().__init__(*sides)
        self.made = 0

    def readable(self, side: Stores) -> Any:
        return [
            [side.accounts.customer(owner) for owner in OWNERS],
            [side.accounts.customer_by_email(email) for email in EMAILS],
            [side.accounts.session(token) for token in TOKENS],
            [side.accounts.ticket(token) for token in TOKENS],
            [all_pages(lambda key, owner=owner: side.accounts.keys(owner, limit=2, key=key)) for owner in OWNERS],
        ]

    @operation(
        owner=st.sampled_from(OWNERS),
        email=st.sampled_from(EMAILS),
        session=st.one_of(st.none(), sessions),
        ticket=st.one_of(st.none(), st.none(), tickets),
    )
    def add_customer(self, owner: str, email: str, session: Session | None, ticket: Ticket | None) -> None:
        customer = Customer(owner, email, "Name", "hash", NOW)
        self.both(lambda side: side.accounts.add_customer(customer, session=session, ticket=ticket))

    @operation(
        owner=st.sampled_from(OWNERS),
        behind=st.sampled_from([0, 0, 0, 1]),
        password=st.sampled_from(["x", "y"]),
        known=st.dictionaries(st.sampled_from(TOKENS), moments, max_size=2),
        session=st.one_of(st.none(), sessions),
        ended=st.sets(st.sampled_from(TOKENS), max_size=2),
        ticket=st.one_of(st.none(), st.none(), tickets),
    )
    def update_customer(
        self,
        owner: str,
        behind: int,
        password: str,
        known: Any,
        session: Session | None,
        ended: set[str],
        ticket: Ticket | None,
    ) -> None:
        """A session that begins is never one that ends; no transaction takes one row twice."""
        customer: Customer | None = self.both(lambda side: side.accounts.customer(owner))
        customer = customer or Customer(owner, "nobody@example.com", "Name", "hash", NOW)
        changed = replace(customer, password_hash=password, sessions=known, version=customer.version - behind)
        others = ended - ({session.token_sha256} if session else set())
        self.both(lambda side: side.accounts.update_customer(changed, session=session, ended=others, ticket=ticket))

    @operation(
        email=st.sampled_from(EMAILS), token=st.sampled_from(TOKENS), remove=st.booleans(), lookup=st.sampled_from(LOOKUPS)
    )
    def read(self, email: str, token: str, remove: bool, lookup: str) -> None:
        self.both(lambda side: side.accounts.customer_by_email(email))
        self.both(lambda side: (side.accounts.session(token), side.accounts.ticket(token), side.accounts.key(lookup)))
        if remove:
            self.both(lambda side: side.accounts.remove_session(token))

    @operation(ticket=tickets)
    def add_ticket(self, ticket: Ticket) -> None:
        self.both(lambda side: side.accounts.add_ticket(ticket))

    @operation(owner=st.sampled_from(OWNERS), lookup=st.sampled_from(LOOKUPS), expires=st.one_of(st.none(), moments))
    def add_key(self, owner: str, lookup: str, expires: datetime | None) -> None:
        """Each at a time of its own: which of two from one microsecond is listed first is nobody's promise."""
        self.made += 1
        created = NOW + timedelta(seconds=self.made % 3, microseconds=self.made)
        key = ApiKey(lookup, owner, "k", "ab" * 32, frozenset({Scope.DATASET_READ, Scope.USAGE_READ}), created, expires)
        self.both(lambda side: side.accounts.add_key(key))

    @operation(owner=st.sampled_from(OWNERS), lookup=st.sampled_from(LOOKUPS), at=moments)
    def revoke_key(self, owner: str, lookup: str, at: datetime) -> None:
        self.both(lambda side: side.accounts.revoke_key(lookup, customer_id=owner, at=at))

    @operation(owner=st.sampled_from(OWNERS), limit=st.integers(1, 2), start=st.booleans())
    def keys(self, owner: str, limit: int, start: bool) -> None:
        self.turn(owner, lambda side, key: side.accounts.keys(owner, limit=limit, key=key), start=start)


# No id is given out twice, so that each has one owner.
HOOKS = {"hook-1": "c-ada", "hook-2": "c-bob", "hook-3": "c-ada"}
MESSAGES = tuple(f"msg_{number}" for number in range(6))
endpoint_changes = st.fixed_dictionaries(
    {"updated_at": moments},
    optional={
        "url": st.sampled_from(["https://a.example/", "https://b.example/"]),
        "events": st.frozensets(st.sampled_from(sorted(SUBSCRIBABLE)), min_size=1, max_size=2),
        "previous_secret": st.sampled_from([None, "whsec_Yg=="]),
        "previous_secret_expires_at": st.one_of(st.none(), moments),
        "rotation_id": st.sampled_from([None, "r"]),
        "disabled_at": st.one_of(st.none(), moments),
        "disabled_reason": st.sampled_from([None, "gone"]),
        "last_sequence": st.integers(0, 9),
    },
)
attempts = st.builds(
    Attempt,
    st.integers(1, 3),
    moments,
    st.integers(0, 99),
    status_code=st.sampled_from([None, 200, 500]),
    error=st.sampled_from([None, "timeout"]),
)


class Webhooks(StoresPlayer):
    ports = {"webhooks": WebhookStore}
    tables = ("webhooks", "deliveries")

    def __init__(self, *sides: Stores) -> None:
        super().__init__(*sides)
        self.endpoints_held: list[Endpoint] = []
        self.held: list[Delivery] = []
        self.gone: set[str] = set()
        self.due_times = 0

    def readable(self, side: Stores) -> Any:
        return [
            [all_pages(lambda key, owner=owner: side.webhooks.endpoints(owner, limit=1, key=key)) for owner in OWNERS],
            [all_pages(lambda key, hook=hook: side.webhooks.deliveries(hook, limit=2, key=key)) for hook in HOOKS],
            side.webhooks.due(within_seconds=10_000, now=NOW, limit=100),
        ]

    def due_at(self, at: datetime | None) -> datetime | None:
        """No two at once: which of them would be first is nobody's promise."""
        self.due_times += 1
        return None if at is None else at + timedelta(microseconds=10 * self.due_times)

    @operation(hook=st.sampled_from(sorted(HOOKS)))
    def add_endpoint(self, hook: str) -> None:
        """None comes back after it was removed."""
        if hook in self.gone:
            return
        endpoint = Endpoint(
            hook, HOOKS[hook], "https://a.example/", frozenset({EventType.JOB_FAILED}), "mine", "whsec_YQ==", NOW, NOW
        )
        if not isinstance(self.both(lambda side: side.webhooks.add_endpoint(endpoint)), Refused):
            self.endpoints_held.append(endpoint)

    @operation(needs="endpoints_held", back=st.integers(0, 2), changes=endpoint_changes)
    def replace_endpoint(self, back: int, changes: dict[str, Any]) -> None:
        before = self.endpoints_held[-1 - back % len(self.endpoints_held)]
        answer = self.both(lambda side: side.webhooks.replace_endpoint(before, replace(before, **changes)))
        if isinstance(answer, Endpoint):
            self.endpoints_held.append(answer)

    @operation(needs="endpoints_held", back=st.integers(0, 2), sure=st.integers(0, 2))
    def remove_endpoint(self, back: int, sure: int) -> None:
        if sure == 0:
            endpoint = self.endpoints_held[-1 - back % len(self.endpoints_held)]
            self.both(lambda side: side.webhooks.remove_endpoint(endpoint))
            self.gone.add(endpoint.id)

    @operation(
        often=2,
        owner=st.sampled_from([None, None, *OWNERS]),
        hook=st.sampled_from(sorted(HOOKS)),
        message=st.sampled_from(MESSAGES),
        step=st.sampled_from([1, 1, 1, 0, 2]),
        due=moments,
    )
    def enqueue(self, owner: str | None, hook: str, message: str, step: int, due: datetime) -> None:
        owner = owner or HOOKS[hook]
        known: Endpoint | None = self.both(lambda side: side.webhooks.endpoint(owner, hook))
        sequence = (known.last_sequence if known else 0) + step
        of = {"event_type": EventType.JOB_FAILED, "sequence": sequence, "body": "{}", "created_at": NOW}
        delivery = Delivery(f"{hook}-{message}", hook, owner, "event", due_at=self.due_at(due), **of)
        if not isinstance(self.both(lambda side: side.webhooks.enqueue(delivery)), Refused):
            self.held.append(delivery)

    @operation(
        needs="held",
        back=st.integers(0, 3),
        due=st.one_of(st.none(), moments),
        status=st.sampled_from([DeliveryStatus.DELIVERED, DeliveryStatus.FAILED]),
        tried=st.lists(attempts, max_size=2).map(tuple),
        reason=st.sampled_from([None, "It answered 410."]),
    )
    def replace_delivery(self, back: int, due: datetime | None, status: DeliveryStatus, tried: Any, reason: str | None) -> None:
        """Pending with a next attempt, or over without one."""
        before = self.held[-1 - back % len(self.held)]
        now = status if due is None else DeliveryStatus.PENDING
        after = replace(before, status=now, due_at=self.due_at(due), attempts=tried, attempts_made=len(tried), reason=reason)
        answer = self.both(lambda side: side.webhooks.replace_delivery(after))
        if isinstance(answer, Delivery):
            self.held.append(answer)

    @operation(
        hook=st.sampled_from(sorted(HOOKS)), message=st.sampled_from(MESSAGES), limit=st.integers(1, 3), start=st.booleans()
    )
    def read(self, hook: str, message: str, limit: int, start: bool) -> None:
        self.both(lambda side: side.webhooks.delivery(hook, f"{hook}-{message}"))
        self.turn(hook, lambda side, key: side.webhooks.deliveries(hook, limit=limit, key=key), start=start)

    @operation(owner=st.sampled_from(OWNERS), start=st.booleans())
    def list_endpoints(self, owner: str, start: bool) -> None:
        self.turn(owner, lambda side, key: side.webhooks.endpoints(owner, limit=1, key=key), start=start)

    @operation(within=st.sampled_from([0, 60, 600]), now=moments, limit=st.integers(1, 4))
    def due(self, within: int, now: datetime, limit: int) -> None:
        self.both(lambda side: side.webhooks.due(within_seconds=within, now=now, limit=limit))
