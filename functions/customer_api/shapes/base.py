"""What every answer is made of."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
Parameter = str | int | float | bool
Count = Annotated[int, Field(ge=0)]
# operation id -> status and shape of its success; of its only answer for those that are gone
Answers = dict[str, tuple[int, type[BaseModel] | None]]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorBody(Shape):
    code: str
    message: str = Field(description="what to do")
    request_id: str
    details: dict[str, Any] = Field(default_factory=dict, description="field: JSON pointer of what to correct, and more")


class Error(Shape):
    error: ErrorBody


class PageInfo(Shape):
    limit: int
    next_cursor: str | None
    has_more: bool


class Listing(Shape, Generic[T]):
    data: list[T]
    page: PageInfo
