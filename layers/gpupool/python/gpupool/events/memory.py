"""Events in memory."""

from gpupool.events.model import Event, event_key
from gpupool.pages import Key, Page
from gpupool.world import World


class MemoryEventStore:
    def __init__(self, world: World) -> None:
        self._world = world

    def add(self, events: tuple[Event, ...]) -> None:
        with self._world.lock:
            for event in events:
                self._world.events.setdefault(event.job_id, {}).setdefault(event_key(event), event)

    def has(self, event: Event) -> bool:
        return event_key(event) in self._world.events.get(event.job_id, {})

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Event]:
        after = key["event_key"] if key else ""
        with self._world.lock:
            rows = sorted(self._world.events.get(job_id, {}).items())
        events = [event for place, event in rows if place > after]
        last = events[limit - 1] if len(events) > limit else None
        return Page(tuple(events[:limit]), {"job_id": job_id, "event_key": event_key(last)} if last else None)
