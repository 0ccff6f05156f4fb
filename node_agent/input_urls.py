"""Where a unit's inputs lie right now. Their URLs live minutes; a large download, or a wait for its turn, takes longer."""

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from gpupool.wire import units as wire
from node_agent.cache import name_of
from node_agent.errors import RecoverableError, RefusedError
from node_agent.in_hand import UnitInHand
from node_agent.retry import asking_for_urls

# The control plane's URLs live 900 s; an older one than this may end while a connection is being made.
FRESH_SECONDS = 600.0


class InputsDoor(Protocol):
    def inputs(self, unit_id: str, request: wire.InputsRequest) -> wire.InputsResponse: ...


class InputUrls:
    """The URLs of one unit's inputs by the name that the cache has for them. For the unit's own thread."""

    def __init__(self, unit: UnitInHand, door: InputsDoor, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._unit = unit
        self._door = door
        self._clock = clock
        self._since = clock()
        self._urls = _by_name(unit.grant.package, unit.grant.dataset, unit.grant.needs)

    def url_for(self, download: wire.Download, *, refused: bool = False) -> str:
        """A URL that should be accepted; ``refused``: the last one was not.

        Raises ``RefusedError`` when there is none, ``LeaseLostError``, ``UnitGoneError``, or ``AbandonedError``.
        """
        if refused or self._clock() - self._since > FRESH_SECONDS:
            self._renew()
        name = name_of(download)
        if name not in self._urls:
            raise RefusedError("the control plane no longer counts it among the unit's inputs")
        return self._urls[name]

    def _renew(self) -> None:
        request = wire.InputsRequest(lease=self._unit.lease)
        asked_at = self._clock()
        try:
            answer = asking_for_urls(
                lambda: self._door.inputs(self._unit.unit_id, request), what="inputs", giving_up=self._unit.abandoned
            )
        except RecoverableError as error:
            raise RefusedError(f"no fresh URL could be had: {error}") from error
        self._urls = _by_name(answer.package, answer.dataset, answer.needs)
        self._since = asked_at


def _by_name(package: wire.Download, dataset: wire.DatasetInput, needs: list[wire.NeedInput]) -> dict[str, str]:
    return {name_of(download): download.url for download in _downloads(package, dataset, needs)}


def _downloads(package: wire.Download, dataset: wire.DatasetInput, needs: list[wire.NeedInput]) -> Iterator[wire.Download]:
    yield package
    yield dataset.download
    for need in needs:
        for output in need.outputs:
            yield output.download
