"""``make`` loads no more tests than a target runs, so each has to lie where its target looks."""

import re

import pytest

from local.layout import REPO_ROOT

MAKEFILE = (REPO_ROOT / "Makefile").read_text()


@pytest.mark.parametrize("marker", ["stack", "sandbox", "faults"])
def test_every_marked_test_lies_where_its_target_looks(marker: str) -> None:
    looked = re.findall(rf"-m {marker} (tests/.+)", MAKEFILE)
    marked = [path for path in (REPO_ROOT / "tests").rglob("*.py") if f"mark.{marker}" in path.read_text()]

    assert len(looked) == 1
    assert marked
    assert {"/".join(path.relative_to(REPO_ROOT).parts[:2]) for path in marked} <= set(looked[0].split())
