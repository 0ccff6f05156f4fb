"""Claims: whoever heard a unit's bell may ask for the unit. The row decides, and is written last."""

from collections.abc import Callable

from gpupool.clock import Clock
from gpupool.dispatch.model import check_doorway
from gpupool.dispatch.queue import Queue
from gpupool.errors import Conflict, StaleWrite
from gpupool.units import decide
from gpupool.units.bells import Bells, seconds_until
from gpupool.units.cadence import Cadence
from gpupool.units.decide import Refusal
from gpupool.units.grant import build_grant
from gpupool.units.inputs import NEEDS_PER_PAGE, Inputs
from gpupool.units.model import LeaseState, Unit, Worker
from gpupool.units.rows import present
from gpupool.units.store import UnitStore
from gpupool.wire.errors import NodeErrorCode
from gpupool.wire.units import Doorway, UnitGrant

# Not at once: in a pool of one machine that is too small, the bell would ring itself into the dead letters.
_UNSUITABLE_SECONDS = 5
# Short enough for others to hear it during the pause, long enough that the pauses' bells stay below maxReceiveCount.
_PAUSED_SECONDS = 15
_TOKEN_BYTES = 16


class Claims:
    """``random_hex(n)`` yields 2n random hex digits from a source fit for secrets."""

    def __init__(
        self,
        *,
        units: UnitStore,
        inputs: Inputs,
        queue: Queue,
        random_hex: Callable[[int], str],
        clock: Clock,
        cadence: Cadence,
    ) -> None:
        self._units = units
        self._inputs = inputs
        self._queue = queue
        self._bells = Bells(queue)
        self._random_hex = random_hex
        self._clock = clock
        self._cadence = cadence

    def claim(self, worker: Worker, unit_id: str, doorway: Doorway, *, pages: bool = True) -> UnitGrant:
        """A new lease on the unit, or 409 with what the node should do; the bell is answered either way.

        ``pages``: the node asks for needs beyond a first page. One that does not would run without them.
        """
        check_doorway(doorway, served=worker.queue_urls)
        while True:
            unit = self._units.get(unit_id)
            now = self._clock.now()
            if decide.holds_already(unit, worker, doorway, now=now):
                return self._grant(present(unit), pages)
            own_bell = unit is not None and doorway.queue_url == self._queue.queue_url(unit.pool, unit.capability)
            refusal = decide.refuse_claim(unit, worker, own_bell=own_bell, now=now)
            if refusal is None and not pages and len(present(unit).needs) > NEEDS_PER_PAGE:
                refusal = Refusal.NOT_SUITABLE
            try:
                if refusal is not None:
                    raise self._refuse(unit, refusal, doorway)
                return self._lease(present(unit), worker, doorway, pages)
            except StaleWrite:
                continue

    def decline(self, worker: Worker, doorway: Doorway) -> None:
        """Rings the bell for others at once; whether the unit still needs anybody is decided by whoever comes next."""
        check_doorway(doorway, served=worker.queue_urls)
        self._queue.hide(doorway, seconds=0)

    def _lease(self, unit: Unit, worker: Worker, doorway: Doorway, pages: bool) -> UnitGrant:
        """Whatever may fail comes first: an attempt that nobody is told of would be lost for a lease's length."""
        now = self._clock.now()
        expires_at = now + self._cadence.lease(0)
        terms = decide.Terms(self._random_hex(_TOKEN_BYTES), expires_at, doorway)
        leased = decide.claimed(unit, worker, terms, now=now)
        grant = self._grant(leased, pages)
        self._prove(doorway, seconds=seconds_until(terms.expires_at, now=now))
        self._units.replace(leased)
        return grant

    def _grant(self, unit: Unit, pages: bool) -> UnitGrant:
        return build_grant(unit, present(unit.lease), self._inputs.for_grant(unit, pages=pages))

    def _prove(self, doorway: Doorway, *, seconds: int) -> None:
        """Hides the bell. A node that cannot has not heard it, or others have heard it since, and may change no unit."""
        if not self._queue.hide(doorway, seconds=seconds):
            raise Conflict(
                "The queue does not take this receipt any more; receive again and claim what rings then.",
                code=NodeErrorCode.UNIT_LEASED,
            )

    def _refuse(self, unit: Unit | None, refusal: Refusal, doorway: Doorway) -> Conflict:
        """Answers the bell and says why the claim was refused."""
        if refusal is Refusal.EXHAUSTED:
            self._prove(doorway, seconds=_UNSUITABLE_SECONDS)
            self._units.replace(decide.exhausted(present(unit), now=self._clock.now()))
        if refusal in (Refusal.EXHAUSTED, Refusal.GONE):
            self._bells.silence(doorway)
            return Conflict("The unit needs nobody any more.", code=NodeErrorCode.UNIT_GONE)
        if refusal is Refusal.NOT_SUITABLE:
            self._bells.hide(doorway, seconds=_UNSUITABLE_SECONDS)
            return Conflict(
                "The unit needs more VRAM or disk than this machine has, or an agent that reads needs page by page.",
                code=NodeErrorCode.UNIT_NOT_SUITABLE,
            )
        if refusal is Refusal.PAUSED:
            self._bells.hide(doorway, seconds=_PAUSED_SECONDS)
            return Conflict(
                "This machine failed the unit lately, so others come first for some minutes.",
                code=NodeErrorCode.UNIT_NOT_SUITABLE,
            )
        lease: LeaseState = present(present(unit).lease)
        self._bells.hide(doorway, seconds=seconds_until(lease.expires_at, now=self._clock.now()))
        return Conflict("Another node holds the unit.", code=NodeErrorCode.UNIT_LEASED)
