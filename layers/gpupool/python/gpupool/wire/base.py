"""What every message has in common."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """An immutable message; unknown fields are ignored so that either side may be newer."""

    model_config = ConfigDict(frozen=True, extra="ignore")
