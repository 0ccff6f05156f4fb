"""The loop that sends log chunks, apart from the heartbeat: a slow uplink may delay a log, never a lease."""

import logging
import queue

import urllib3

from gpupool.wire.units import Upload
from node_agent.agent_log import log_event
from node_agent.blobs import upload
from node_agent.errors import AgentError
from node_agent.in_hand import UnitInHand

logger = logging.getLogger(__name__)


class LogShipper:
    """One chunk at a time; a chunk that could not be sent is asked for again by the next heartbeat."""

    def __init__(self, pool: urllib3.PoolManager) -> None:
        self._pool = pool
        self._orders: queue.SimpleQueue[tuple[UnitInHand, Upload] | None] = queue.SimpleQueue()

    def order(self, unit: UnitInHand, to: Upload) -> None:
        unit.shipping_log = True
        self._orders.put((unit, to))

    def stop(self) -> None:
        self._orders.put(None)

    def run(self) -> None:
        while (order := self._orders.get()) is not None:
            unit, to = order
            try:
                self._ship(unit, to)
            except (AgentError, OSError) as error:
                log_event(logger, "log.unsent", level=logging.WARNING, unit=unit.unit_id, error=str(error))
            finally:
                unit.shipping_log = False

    def _ship(self, unit: UnitInHand, to: Upload) -> None:
        chunk = unit.log.chunk() if unit.log is not None else None
        if unit.log is not None and chunk is not None:
            upload(self._pool, to, source=chunk.content, size_bytes=len(chunk.content))
            unit.log.acknowledge(chunk)
