"""No test reaches the network by accident: sockets are off, and only rooms that ask for it may talk to this machine."""

import os
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
import pytest_socket

from tests.support.events import load_event as read_event

# These start servers of their own; everything else runs in one process.
_TALK_TO_THIS_MACHINE = frozenset({"agent", "local", "sandbox", "e2e"})
_THIS_MACHINE = ["127.0.0.1", "::1", "localhost"]


# How long an example takes says how busy the machine is; what is fast is measured in bench/.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def pytest_configure() -> None:
    # Without it the AWS clients ask the machine's metadata address for credentials.
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture of the test; the marker ``allow_hosts`` opens further hosts. The plugin undoes it afterwards."""
    if _TALK_TO_THIS_MACHINE.intersection(item.path.parts) or item.get_closest_marker("stack"):
        pytest_socket.socket_allow_hosts(_THIS_MACHINE, allow_unix_socket=True)
    elif not (item.get_closest_marker("allow_hosts") or item.get_closest_marker("enable_socket")):
        pytest_socket.disable_socket(allow_unix_socket=True)


@pytest.fixture
def load_event() -> Callable[[str], dict[str, Any]]:
    """Reads ``events/<name>.json``, a fresh copy each time."""
    return read_event
