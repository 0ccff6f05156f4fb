"""JSON logs and metrics of the functions. Rooms log through the standard library; these settings give them the same shape."""

from functools import cache

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging import utils


@cache
def logger() -> Logger:
    """This function's logger; service and level come from the POWERTOOLS_* environment."""
    log = Logger()
    utils.copy_config_to_registered_loggers(log, include={"gpupool"})
    return log


@cache
def metrics() -> Metrics:
    """This function's metrics, in CloudWatch's embedded format."""
    return Metrics()
