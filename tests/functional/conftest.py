"""Clients of AWS are kept for the tests of a module: making them takes longer than most of what is done with them."""

from collections.abc import Iterator

import pytest

from gpupool import aws


@pytest.fixture(scope="module", autouse=True)
def _clients() -> Iterator[None]:
    aws.reset()
    yield
    aws.reset()
