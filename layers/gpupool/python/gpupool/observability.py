"""JSON logs of the functions. Rooms log through the standard library; this gives them all the same shape."""

from functools import cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging import utils


@cache
def logger() -> Logger:
    """This function's logger; service and level come from the POWERTOOLS_* environment."""
    log = Logger()
    utils.copy_config_to_registered_loggers(log, include={"gpupool"})
    return log
