"""Credits: the ceiling, the charge and the quote."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupool.jobs.model import Quote, QuoteLine
from gpupool.planning.plan import plan
from gpupool.planning.pricing import capability_for, charge, credits_max, quote
from gpupool.wire.vocabulary import CapabilityClass
from tests.unit.planning.builders import SWEEP, a_request, parsed


@pytest.mark.parametrize(
    ("capability", "seconds", "credits"),
    [
        (CapabilityClass.CPU, 1, 1),
        (CapabilityClass.CPU, 60, 1),
        (CapabilityClass.CPU, 61, 2),
        (CapabilityClass.GPU_8G, 600, 40),
        (CapabilityClass.GPU_16G, 90, 12),
        (CapabilityClass.GPU_24G, 60, 10),
        (CapabilityClass.GPU_80G, 21_600, 14_400),
    ],
)
def test_every_started_minute_counts(capability: CapabilityClass, seconds: int, credits: int) -> None:
    assert credits_max(capability, seconds) == credits
    assert charge(credits, capability, seconds) == credits


@pytest.mark.parametrize(("seconds", "credits"), [(0.0, 4), (0.2, 4), (60.0, 4), (60.5, 8), (10_000.0, 40), (float("inf"), 40)])
def test_a_charge_is_never_more_than_was_quoted(seconds: float, credits: int) -> None:
    assert charge(40, CapabilityClass.GPU_8G, seconds) == credits


@settings(deadline=None)
@given(
    st.sampled_from(CapabilityClass),
    st.integers(1, 21_600),
    st.floats(allow_nan=True, allow_infinity=True),
)
def test_a_charge_is_at_least_one_credit_whatever_a_node_reports(
    capability: CapabilityClass, max_runtime_seconds: int, reported: float
) -> None:
    ceiling = credits_max(capability, max_runtime_seconds)
    assert 1 <= charge(ceiling, capability, reported) <= ceiling


def test_a_quote_has_one_line_per_class_from_the_smallest_up() -> None:
    planned = plan(parsed(SWEEP + "grid = {a = [1, 2, 3]}"), a_request(required_vram_mb=20_000))
    assert quote(planned) == Quote(310, (QuoteLine("cpu", 2, 10), QuoteLine("gpu-24g", 3, 300)))


def test_no_class_is_that_large() -> None:
    with pytest.raises(ValueError, match="80001"):
        capability_for(80_001)
