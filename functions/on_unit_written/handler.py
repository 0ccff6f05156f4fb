"""Stream of ``units``: one record per write, at least once, in order per unit."""

from gpupool import bootstrap
from gpupool.streams import stream_handler, unit_change
from gpupool.units.model import Unit


def act(before: Unit | None, after: Unit) -> None:
    bootstrap.outbox().unit_written(before, after)


handler = stream_handler(unit_change, act)
