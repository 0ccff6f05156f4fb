"""What the context keys mean."""

from collections.abc import Callable

import pytest

from gpupool.settings import Settings
from infra.settings import PUBLISHED_LIMITS, read_settings


def test_prod_is_the_default() -> None:
    settings = read_settings(_context())
    assert (settings.stage, settings.name_prefix, settings.bundle_deps, settings.keeps_data) == ("prod", "", True, True)


def test_the_laptop_keeps_nothing_and_downloads_nothing() -> None:
    settings = read_settings(_context(stage="local"))
    assert (settings.bundle_deps, settings.keeps_data, settings.name("jobs")) == (False, False, "jobs")


def test_another_stage_has_names_of_its_own() -> None:
    assert read_settings(_context(stage="beta")).name("jobs") == "beta-jobs"
    assert read_settings(_context(stage="beta", name_prefix="b1-")).name("jobs") == "b1-jobs"


@pytest.mark.parametrize(("given", "meant"), [("false", False), (False, False), ("TRUE", True), (True, True)])
def test_switches_come_as_text_from_the_cli_and_as_booleans_from_json(given: object, meant: bool) -> None:
    assert read_settings(_context(bundle_deps=given)).bundle_deps is meant


def test_a_typo_deploys_nothing() -> None:
    with pytest.raises(ValueError, match="bundle_deps"):
        read_settings(_context(bundle_deps="no"))


@pytest.mark.parametrize("origin", ["*", "portal.example.org"])
def test_the_portal_is_one_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="portal_origin"):
        read_settings(_context(portal_origin=origin))


def test_limits_are_as_published_unless_the_context_says_otherwise() -> None:
    assert read_settings(_context()).limits["live_jobs"] == 3
    assert read_settings(_context(live_jobs="5", units_per_day=1_000)).limits | {"live_jobs": 5, "units_per_day": 1_000} == (
        read_settings(_context(live_jobs="5", units_per_day=1_000)).limits
    )
    assert read_settings(_context(stage="local")).limits["jobs_per_minute"] == 1_000
    with pytest.raises(ValueError, match="live_jobs"):
        read_settings(_context(live_jobs="many"))


def _context(**values: object) -> Callable[[str], object]:
    return values.get


def test_the_published_limits_are_those_of_a_core_that_is_told_nothing() -> None:
    assert {name: getattr(Settings(), name) for name in PUBLISHED_LIMITS} == PUBLISHED_LIMITS
