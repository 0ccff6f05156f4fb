"""One stack and two machines for the whole session; every module has customers of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.bringup import LocalStack
from local.testing import local_stack
from tests.stack.customers import Customer, new_customer
from tests.stack.machines import Machines

__all__ = ["local_stack"]


@pytest.fixture(scope="session")
def machines(local_stack: LocalStack) -> Iterator[Machines]:
    """Two home machines, ``north`` and ``south``, each with room for two units."""
    pool = Machines(local_stack)
    try:
        pool.join("north")
        pool.join("south")
        yield pool
    finally:
        pool.leave()


@pytest.fixture(scope="module")
def customer(local_stack: LocalStack) -> Customer:
    """The module's own customer, with 1000 credits."""
    return new_customer(local_stack)


@pytest.fixture(scope="session")
def new_customers(local_stack: LocalStack) -> Callable[[int], Customer]:
    """Makes one more customer with so many credits."""
    return lambda credits: new_customer(local_stack, credits=credits)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where customers keep the files they upload."""
    return tmp_path_factory.mktemp("desk")
