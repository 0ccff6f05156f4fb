"""Stream of ``events``: one record per event, at least once, in order per job. It becomes deliveries to webhooks."""

from gpupool import bootstrap
from gpupool.events.model import Event
from gpupool.streams import event_change, stream_handler


def act(_before: Event | None, after: Event) -> None:
    bootstrap.fan_out().publish(after)


handler = stream_handler(event_change, act)
