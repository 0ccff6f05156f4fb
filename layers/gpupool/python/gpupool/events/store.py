"""Where events are kept."""

from typing import Protocol

from gpupool.events.model import Event
from gpupool.pages import Key, Page


class EventStore(Protocol):
    def add(self, events: tuple[Event, ...]) -> None:
        """Adds events; those that are there stay as they are, so adding twice tells nobody twice."""

    def has(self, event: Event) -> bool:
        """Whether the event was added, whatever it says; a consistent read."""

    def page(self, job_id: str, *, limit: int, key: Key | None) -> Page[Event]:
        """A job's events, oldest first."""
