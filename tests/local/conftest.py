"""One emulator for the tests of a module."""

from collections.abc import Iterator

import pytest

from local.testing import private_emulator
from tests.local.workshop import Workshop


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with private_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield Workshop(emulator=emulator)
