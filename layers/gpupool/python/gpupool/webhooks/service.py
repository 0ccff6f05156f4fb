"""Webhooks as their owner sees them. Another customer's id does not exist here."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from gpupool.clock import Clock
from gpupool.errors import AlreadyExists, Conflict, NotFound, StaleWrite, Unavailable
from gpupool.events.model import Event, EventType
from gpupool.idempotency.service import Once
from gpupool.pages import Key, Page
from gpupool.webhooks import decide
from gpupool.webhooks.addresses import check_url
from gpupool.webhooks.fan_out import MAX_ENDPOINTS, FanOut
from gpupool.webhooks.model import Delivery, DeliveryStatus, Endpoint
from gpupool.webhooks.queue import DeliveryQueue, ref_of
from gpupool.webhooks.signature import SECRET_BYTES, new_secret
from gpupool.webhooks.store import WebhookStore

_TRIES = 5
BY_OWNER = "You disabled it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a customer wants of an endpoint; None leaves a thing as it is."""

    url: str | None = None
    events: frozenset[EventType] | None = None
    description: str | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """An endpoint whose secret may be shown. ``replayed``: an earlier request with this key made it."""

    endpoint: Endpoint
    replayed: bool


@dataclass(frozen=True, slots=True)
class Tested:
    """A test event on its way. ``replayed``: an earlier request with this key sent it."""

    delivery: Delivery
    replayed: bool


class Webhooks:
    """``random_hex(n)`` yields 2n random hex digits from a source fit for secrets."""

    def __init__(
        self,
        *,
        store: WebhookStore,
        fan_out: FanOut,
        queue: DeliveryQueue,
        once: Once,
        random_hex: Callable[[int], str],
        insecure_hosts: frozenset[str],
        clock: Clock,
    ) -> None:
        self._store = store
        self._fan_out = fan_out
        self._queue = queue
        self._once = once
        self._random_hex = random_hex
        self._insecure_hosts = insecure_hosts
        self._clock = clock

    def create(
        self, customer_id: str, *, url: str, events: frozenset[EventType], description: str, idempotency_key: str | None
    ) -> Made:
        """A new endpoint. WEBHOOK_INVALID_URL; WEBHOOK_LIMIT_REACHED when there are twenty."""
        url = check_url(url, insecure_hosts=self._insecure_hosts)
        asked = {"url": url, "events": sorted(events), "description": description}
        claim = self._once.claim(customer_id, "POST /webhooks", idempotency_key, asked)
        known = self._store.endpoint(customer_id, claim.resource_id) if claim.repeated else None
        if known is not None:
            return Made(known, replayed=True)
        if len(self._store.endpoints(customer_id, limit=MAX_ENDPOINTS, key=None).items) >= MAX_ENDPOINTS:
            message = f"There are {MAX_ENDPOINTS} webhooks already; delete one, or add events to one."
            raise Conflict(message, code="WEBHOOK_LIMIT_REACHED")
        now = self._clock.now()
        endpoint = Endpoint(claim.resource_id, customer_id, url, events, description, self._secret(), now, now)
        try:
            self._store.add_endpoint(endpoint)
        except AlreadyExists:
            return Made(self.get(customer_id, endpoint.id), replayed=True)
        return Made(endpoint, replayed=False)

    def get(self, customer_id: str, endpoint_id: str) -> Endpoint:
        endpoint = self._store.endpoint(customer_id, endpoint_id)
        if endpoint is None:
            raise _no_webhook()
        return endpoint

    def page(self, customer_id: str, *, limit: int, key: Key | None) -> Page[Endpoint]:
        return self._store.endpoints(customer_id, limit=limit, key=key)

    def update(self, customer_id: str, endpoint_id: str, wish: Wish) -> Endpoint:
        """The endpoint as wished. Enabling one that answered 410 gives it another chance."""
        url = None if wish.url is None else check_url(wish.url, insecure_hosts=self._insecure_hosts)

        def change(endpoint: Endpoint) -> Endpoint:
            changed = replace(
                endpoint,
                url=endpoint.url if url is None else url,
                events=endpoint.events if wish.events is None else wish.events,
                description=endpoint.description if wish.description is None else wish.description,
                updated_at=self._clock.now(),
            )
            if wish.enabled is None or wish.enabled == (endpoint.disabled_at is None):
                return changed
            if wish.enabled:
                return replace(changed, disabled_at=None, disabled_reason=None)
            return decide.disabled(changed, BY_OWNER, now=self._clock.now())

        return self._change(customer_id, endpoint_id, change)

    def delete(self, customer_id: str, endpoint_id: str) -> None:
        self._store.remove_endpoint(self.get(customer_id, endpoint_id))

    def rotate(self, customer_id: str, endpoint_id: str, *, idempotency_key: str | None) -> Made:
        """A new secret; the one before signs along for a day.

        A repeat with the key of the latest rotation answers the same secret, also when the two requests meet.
        """
        self.get(customer_id, endpoint_id)
        claim = self._once.claim(customer_id, f"POST /webhooks/{endpoint_id}/rotate-secret", idempotency_key, {})
        secret = self._secret()

        def change(endpoint: Endpoint) -> Endpoint:
            # Asked of every row that is read: the request that this one repeats may have written the row just now.
            if endpoint.rotation_id == claim.resource_id:
                return endpoint
            return decide.rotated(endpoint, secret, rotation_id=claim.resource_id, now=self._clock.now())

        endpoint = self._change(customer_id, endpoint_id, change)
        return Made(endpoint, replayed=endpoint.secret != secret)

    def test(self, customer_id: str, endpoint_id: str, *, idempotency_key: str | None) -> Tested:
        """Sends a test event to this endpoint alone; what came of it stands in its delivery log."""
        endpoint = self._enabled(customer_id, endpoint_id)
        claim = self._once.claim(customer_id, f"POST /webhooks/{endpoint_id}/test", idempotency_key, {})
        event = Event(
            id=f"webhook.test#{claim.resource_id}",
            customer_id=customer_id,
            job_id="",
            type=EventType.WEBHOOK_TEST,
            at=self._clock.now(),
            data={"webhook_id": endpoint.id},
        )
        delivery = self._fan_out.enqueue(endpoint, event)
        if delivery is None:
            raise _no_webhook()
        return Tested(delivery, replayed=claim.repeated)

    def deliveries(self, customer_id: str, endpoint_id: str, *, limit: int, key: Key | None) -> Page[Delivery]:
        return self._store.deliveries(self.get(customer_id, endpoint_id).id, limit=limit, key=key)

    def delivery(self, customer_id: str, endpoint_id: str, delivery_id: str) -> Delivery:
        delivery = self._store.delivery(self.get(customer_id, endpoint_id).id, delivery_id)
        if delivery is None:
            raise NotFound("The webhook has no delivery with this id.", code="DELIVERY_NOT_FOUND")
        return delivery

    def replay(self, customer_id: str, endpoint_id: str, delivery_id: str) -> Delivery:
        """Runs the retry schedule of a delivery that is over once more, under the same webhook-id."""
        self._enabled(customer_id, endpoint_id)
        delivery = self.delivery(customer_id, endpoint_id, delivery_id)
        if delivery.status is DeliveryStatus.PENDING:
            raise _pending()
        try:
            again = self._store.replace_delivery(decide.replayed(delivery, now=self._clock.now()))
        except StaleWrite as error:
            raise _pending() from error
        self._queue.ring(ref_of(again))
        return again

    def _enabled(self, customer_id: str, endpoint_id: str) -> Endpoint:
        endpoint = self.get(customer_id, endpoint_id)
        if endpoint.disabled_at is not None:
            message = "The webhook is disabled; enable it first with PATCH and enabled true."
            raise Conflict(message, code="WEBHOOK_DISABLED", details={"disabled_reason": endpoint.disabled_reason})
        return endpoint

    def _change(self, customer_id: str, endpoint_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        for _ in range(_TRIES):
            before = self.get(customer_id, endpoint_id)
            after = change(before)
            if after is before:
                return before
            try:
                return self._store.replace_endpoint(before, after)
            except StaleWrite:
                continue
        raise Unavailable("Other requests change this webhook at the same time; send yours again.", code="TRY_AGAIN")

    def _secret(self) -> str:
        return new_secret(bytes.fromhex(self._random_hex(SECRET_BYTES)))


def _no_webhook() -> NotFound:
    return NotFound("You have no webhook with this id; list yours to find it.", code="WEBHOOK_NOT_FOUND")


def _pending() -> Conflict:
    return Conflict("The delivery is under way; wait until it has ended.", code="DELIVERY_PENDING")
