"""Synthesis takes seconds, so each stage is synthesised once per session."""

from pathlib import Path

import pytest

from infra.app import build
from tests.infra.synthesised import Synthesised


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """The laptop's deployment."""
    return _synthesise(tmp_path_factory.mktemp("local"), {"stage": "local"})


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """The real deployment, without downloading the dependency layer."""
    return _synthesise(
        tmp_path_factory.mktemp("prod"), {"stage": "prod", "bundle_deps": "false", "alarm_email": "ops@example.org"}
    )


def _synthesise(folder: Path, context: dict[str, object]) -> Synthesised:
    app, stack = build(context=context, outdir=str(folder))
    app.synth()
    return Synthesised(folder=folder, stack_name=stack.stack_name)
