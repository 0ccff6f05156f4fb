"""Where a unit's inputs lie right now. Their URLs live minutes; a large download, or a wait for its turn, takes longer.

Needs come page by page. A page is asked for when the files of the one before are here, or its URLs would age unused.
"""

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from gpupool.wire import units as wire
from gpupool.wire.failures import FailureCode
from node_agent.cache import name_of
from node_agent.errors import RecoverableError, RefusedError, UnitFailedError
from node_agent.in_hand import UnitInHand
from node_agent.retry import asking_for_urls

# The control plane's URLs live 900 s; an older one than this may end while a connection is being made.
FRESH_SECONDS = 600.0


class InputsDoor(Protocol):
    def inputs(self, unit_id: str, request: wire.InputsRequest) -> wire.InputsResponse: ...


class InputUrls:
    """The URLs of one unit's inputs by the name that the cache has for them: its package, its dataset and the page of needs
    that was asked for last. For the unit's own thread.
    """

    def __init__(self, unit: UnitInHand, door: InputsDoor, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._unit = unit
        self._door = door
        self._clock = clock
        self._since = clock()
        self._request = wire.InputsRequest(lease=unit.lease)
        self._urls = _by_name(unit.grant.package, unit.grant.dataset, unit.grant.needs)

    def pages(self, *, outputs: bool = True) -> Iterator[list[wire.NeedInput]]:
        """All needs in their order. Raises as ``named`` does."""
        needs, more = self._unit.grant.needs, self._unit.grant.more_needs
        yield needs
        while more is not None:
            answer = self._turn_to(wire.InputsRequest(lease=self._unit.lease, cursor=more, outputs=outputs))
            needs, more = answer.needs, answer.more_needs
            yield needs

    def named(self, unit_ids: list[str]) -> list[wire.NeedInput]:
        """Needs with their outputs, by id.

        Raises ``UnitFailedError`` (INPUT_UNAVAILABLE), ``LeaseLostError``, ``UnitGoneError``, or ``AbandonedError``.
        """
        return self._turn_to(wire.InputsRequest(lease=self._unit.lease, only=unit_ids)).needs

    def url_for(self, download: wire.Download, *, refused: bool = False) -> str:
        """A URL that should be accepted; ``refused``: the last one was not.

        Raises ``RefusedError`` when there is none, ``LeaseLostError``, ``UnitGoneError``, or ``AbandonedError``.
        """
        if refused or self._clock() - self._since > FRESH_SECONDS:
            self._ask(self._request)
        name = name_of(download)
        if name not in self._urls:
            raise RefusedError("the control plane no longer counts it among the unit's inputs")
        return self._urls[name]

    def _turn_to(self, request: wire.InputsRequest) -> wire.InputsResponse:
        self._unit.raise_if_abandoned()
        try:
            return self._ask(request)
        except RefusedError as error:
            raise UnitFailedError(FailureCode.INPUT_UNAVAILABLE, f"the inputs could not be listed: {error}") from error

    def _ask(self, request: wire.InputsRequest) -> wire.InputsResponse:
        asked_at = self._clock()
        try:
            answer = asking_for_urls(
                lambda: self._door.inputs(self._unit.unit_id, request), what="inputs", giving_up=self._unit.abandoned
            )
        except RecoverableError as error:
            raise RefusedError(f"no fresh URL could be had: {error}") from error
        self._request = request
        self._urls = _by_name(answer.package, answer.dataset, answer.needs)
        self._since = asked_at
        return answer


def _by_name(package: wire.Download, dataset: wire.DatasetInput, needs: list[wire.NeedInput]) -> dict[str, str]:
    return {name_of(download): download.url for download in _downloads(package, dataset, needs)}


def _downloads(package: wire.Download, dataset: wire.DatasetInput, needs: list[wire.NeedInput]) -> Iterator[wire.Download]:
    yield package
    yield dataset.download
    for need in needs:
        for output in need.outputs:
            yield output.download
