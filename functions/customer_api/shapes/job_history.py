"""What happened to a job, and what its units printed."""

from typing import Any

from pydantic import AwareDatetime, Field

from functions.customer_api.shapes.base import Answers, Count, Listing, Shape
from gpupool.events.model import EventType


class Event(Shape):
    id: str = Field(description="the same in every answer and in every delivery of a webhook")
    type: EventType
    at: AwareDatetime
    job_id: str
    unit_id: str | None
    message: str = Field(description="for people")
    data: dict[str, Any] = Field(description="for programs: ids, states, credits, and failure with its cause")


class Events(Listing[Event]):
    pass


class Log(Shape):
    job_id: str
    unit_id: str | None = Field(description="null while no unit has started")
    attempt: Count
    offset: Count = Field(description="where text begins, in bytes")
    next_offset: Count = Field(description="where to go on")
    size_bytes: Count = Field(description="what is there by now")
    ended: bool = Field(description="the attempt can print no more; at the end of the log there is nothing to wait for")
    missing: list[int] = Field(description="numbers of pieces that are not there, at most 100")
    text: str


ANSWERS: Answers = {
    "listJobEvents": (200, Events),
    "readJobLog": (200, Log),
}
