"""No test here reaches beyond this machine; those that talk HTTP say so by asking for the fake control plane."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket

from node_agent.phases import LoopName
from tests.agent.fake_control_plane import FakeControlPlane
from tests.agent.harness import WAIT_SECONDS, AgentInThread


@pytest.fixture(autouse=True)
def _no_network() -> None:
    pytest_socket.disable_socket(allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The program sets up logging for a process of its own."""
    loggers = [logging.getLogger(name) for name in (None, "node_agent", "urllib3")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers = handlers


@pytest.fixture
def control_plane(_no_network: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeControlPlane]:
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1"], allow_unix_socket=True)
    with FakeControlPlane() as fake:
        monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
        yield fake
    for thread in threading.enumerate():
        # One that has only begun to poll would do so at the next test's control plane.
        if thread.name == LoopName.POLLER:
            thread.join(WAIT_SECONDS)


@pytest.fixture
def agent(control_plane: FakeControlPlane, tmp_path: Path) -> Iterator[AgentInThread]:
    """Not started yet; stopped and waited for in any case."""
    running = AgentInThread(control_plane, tmp_path)
    yield running
    running.stop()
