"""JSON logs of the functions, and what recovery counts. Rooms log through the standard library; this gives them all the same
shape."""

from collections.abc import Mapping
from functools import cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging import utils


@cache
def logger() -> Logger:
    """This function's logger; service and level come from the POWERTOOLS_* environment."""
    log = Logger()
    utils.copy_config_to_registered_loggers(log, include={"gpupool"})
    return log


def count_found(counts: Mapping[str, int], *, stage: str) -> None:
    """Counts what was found and repaired, as CloudWatch metrics in one line of the log; nothing when there is nothing.

    A count of zero is not told: a metric costs money in every hour in which it has a value.
    """
    if not counts:
        return
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

    metrics = EphemeralMetrics(namespace="GpuPool", service="recovery")
    metrics.set_default_dimensions(stage=stage)
    for name, count in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    metrics.flush_metrics()
