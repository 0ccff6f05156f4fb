"""Carrying a unit's output to the agent: counted, cut off at the limit, with the last words kept."""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

from node_agent.inside.__main__ import GREETING
from node_agent.sandbox.sandbox import OnOutput

_CHUNK = 65_536
_TAIL_CHUNKS = 4

logger = logging.getLogger(__name__)


class Pump:
    """Reads to the end of the stream on its own thread. ``over`` is set then: the last process of the unit is gone.

    The greeting is taken off; what comes before it is the sandbox's own complaint, kept as ``first_words``.
    """

    def __init__(self, output: IO[bytes], on_output: OnOutput, *, limit: int, wake: Callable[[], None]) -> None:
        self.greeted = False
        self.first_words = b""
        self.seen_bytes = 0
        self.over = threading.Event()
        self._output = output
        self._on_output = on_output
        self._limit = limit
        self._wake = wake
        self._tail: deque[bytes] = deque(maxlen=_TAIL_CHUNKS)
        self._thread = threading.Thread(target=self._run, daemon=True, name="unit-output")

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            while chunk := os.read(self._output.fileno(), _CHUNK):
                self._take(chunk if self.greeted else self._greet(chunk))
            self._say_tail()
        finally:
            self.over.set()
            self._wake()

    def _greet(self, chunk: bytes) -> bytes:
        self.first_words = (self.first_words + chunk)[: 2 * _CHUNK]
        before, greeting, after = self.first_words.partition(GREETING)
        if not greeting:
            return b""
        self.greeted = True
        self.first_words = before
        return after

    def _take(self, chunk: bytes) -> None:
        room = max(0, self._limit - self.seen_bytes)
        self.seen_bytes += len(chunk)
        if chunk[:room]:
            self._pass_on(chunk[:room])
        if self.seen_bytes > self._limit:
            self._tail.append(chunk[room:])
            self._wake()

    def _say_tail(self) -> None:
        if self._tail:
            self._pass_on(b"\n[log limit reached; the last output follows]\n" + b"".join(self._tail))

    def _pass_on(self, chunk: bytes) -> None:
        try:
            self._on_output(chunk)
        except Exception:
            logger.exception("unit output was not taken")
