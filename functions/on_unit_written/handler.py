"""Stream of ``units``: one record per write, at least once, in order per unit."""

from gpupool import bootstrap
from gpupool.streams import Act, stream_handler, unit_change
from gpupool.units.model import Unit


def begin() -> Act[Unit]:
    return bootstrap.outbox().unit_written


handler = stream_handler(unit_change, begin)
