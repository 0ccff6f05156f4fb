"""Stream of ``events``: one record per event, at least once, in order per job. It becomes deliveries to webhooks."""

from gpupool import bootstrap
from gpupool.events.model import Event
from gpupool.streams import Act, event_change, stream_handler


def begin() -> Act[Event]:
    batch = bootstrap.fan_out().batch()
    return lambda _before, after: batch.publish(after)


handler = stream_handler(event_change, begin)
