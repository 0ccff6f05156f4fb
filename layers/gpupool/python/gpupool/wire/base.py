"""What every message has in common."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Message(BaseModel):
    """An immutable message; unknown fields are ignored so that either side may be newer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


UnitId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}\.[0-9]{5}$")]

# DynamoDB keeps numbers from 1e-130 to just under 1e126.
_SMALLEST, _LARGEST = 1e-130, 1e125
_MAX_METRICS = 50
_MAX_METRIC_NAME = 64


def _storable(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return value == 0 or _SMALLEST <= abs(value) <= _LARGEST


def _usable_metrics(given: Any) -> Any:
    """Keeps what can be kept. A loss that diverges to NaN is no reason to lose the lease that came with it."""
    if not isinstance(given, Mapping):
        return given
    usable = {name: float(value) for name, value in given.items() if _storable(value) and 0 < len(name) <= _MAX_METRIC_NAME}
    return dict(list(usable.items())[:_MAX_METRICS])


Metrics = Annotated[dict[str, float], BeforeValidator(_usable_metrics)]
