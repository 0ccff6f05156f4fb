"""The emulator's lock and the demo customer's scopes."""

import re

import pytest

from gpupool.accounts.model import Scope
from local.emulator.pinned import EMULATOR_VERSION, EmulatorMismatchError, replace_once
from local.layout import LOCK_FILE
from local.seed import SCOPES


def test_lock_pins_the_version_that_the_patches_are_for() -> None:
    assert f"\nministack=={EMULATOR_VERSION} \\\n" in LOCK_FILE.read_text()


def test_every_locked_package_has_hashes_and_no_host_is_named() -> None:
    text = LOCK_FILE.read_text()
    packages = re.split(r"\n(?=[a-z0-9.-]+==)", text)[1:]

    assert packages
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in text


def test_demo_customer_asks_for_every_scope() -> None:
    assert set(SCOPES) == {scope.value for scope in Scope}


@pytest.mark.parametrize("source", ["", "old old"])
def test_source_patch_of_another_source_is_refused(source: str) -> None:
    with pytest.raises(EmulatorMismatchError, match="old"):
        replace_once(source, old="old", new="new")
