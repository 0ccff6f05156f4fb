"""One laboratory for all escape attempts. Without bubblewrap these tests fail: an unproven sandbox is none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.lab import Lab, bare_environment


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_environment(tmp_path_factory.mktemp("environments"))


@pytest.fixture
def lab(tmp_path: Path, environment: Path) -> Iterator[Lab]:
    laboratory = Lab(tmp_path / "state" / "work", environment)
    yield laboratory
    laboratory.sandbox.destroy(tmp_path / "state")


@pytest.fixture
def home_secret() -> Iterator[Path]:
    """A file in the owner's home."""
    path = Path.home() / ".gpupool-sandbox-test-secret"
    path.write_text("the owner's secret")
    yield path
    path.unlink()
