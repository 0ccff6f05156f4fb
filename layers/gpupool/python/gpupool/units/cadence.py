"""How often a machine calls while it works. Soon at first, then ever more rarely: a young attempt is what people watch and what
fails most, and an old one has proven that it runs. Ten minutes of work cost four calls this way instead of forty."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Cadence:
    """``first_seconds`` until the first heartbeat after a claim, ``most_seconds`` between any two, and how long the first
    lease lasts. What that one has beyond the first heartbeat is the grace that every later one has too."""

    first_seconds: int
    most_seconds: int
    lease_seconds: int

    def next_beat(self, age_seconds: int) -> int:
        """Seconds from now to the next heartbeat of an attempt that is so old: its age doubles from one to the next."""
        return min(max(self.first_seconds, age_seconds), max(self.first_seconds, self.most_seconds))

    def idle_beat(self) -> int:
        """Seconds between heartbeats of a machine without work."""
        return max(self.first_seconds, self.most_seconds)

    def lease(self, age_seconds: int) -> timedelta:
        """How long a lease lasts from now: over the next heartbeat, and the grace."""
        return timedelta(seconds=self.next_beat(age_seconds) + self.lease_seconds - self.first_seconds)
