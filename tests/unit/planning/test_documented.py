"""The manifest reference shows manifests that are accepted, and the numbers that hold."""

import re
from pathlib import Path

import pytest

from gpupool.planning import limits
from gpupool.planning.manifest import parse_manifest
from gpupool.planning.model import Strategy
from gpupool.planning.pricing import CREDITS_PER_MINUTE
from gpupool.planning.strategies import STRATEGIES

TEXT = (Path(__file__).parents[3] / "docs" / "manifest.md").read_text()
COMMON, SWEEP, DAG = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
FILES = {"train.py", "evaluate.py", "features.py", "requirements.txt"}


@pytest.mark.parametrize(
    "text",
    [
        COMMON,
        COMMON.replace('kind = "single"', 'kind = "sweep"') + SWEEP,
        COMMON.split("[train]")[0] + '[strategy]\nkind = "dag"\n' + DAG,
    ],
    ids=list(Strategy),
)
def test_what_is_shown_is_accepted(text: str) -> None:
    assert parse_manifest(text, FILES).entry == "train.py"


def test_every_strategy_is_described() -> None:
    assert all(f"\n## `{strategy}`\n" in TEXT for strategy in STRATEGIES)
    assert set(STRATEGIES) == set(Strategy)


def test_bounds_and_prices_are_the_ones_that_hold() -> None:
    bounds = [
        limits.MAX_VRAM_MB,
        limits.MAX_DISK_MB,
        limits.MAX_RUNTIME_SECONDS,
        limits.MAX_NEEDS,
        limits.MAX_UNITS,
        limits.MAX_MANIFEST_BYTES,
        limits.MAX_STORED_BYTES,
        limits.MAX_PARAMETERS_BYTES,
        limits.MAX_DOTS_PER_LINE,
        limits.PLATFORM_STEP_SECONDS,
    ]
    assert [bound for bound in bounds if f"{bound:,}" not in TEXT] == []
    assert [name for name, credits in CREDITS_PER_MINUTE.items() if f"`{name}` {credits}" not in TEXT] == []
