"""What a client may know before it signs in."""

from pydantic import BaseModel

from functions.customer_api.shapes.base import Answers, Error, Shape


class Config(BaseModel):
    api_version: str
    signed_url_seconds: int


class Meta(Shape):
    name: str
    api_version: str
    environment: str


ANSWERS: Answers = {
    "getConfig": (200, Config),
    "getMeta": (200, Meta),
    "createImageJob": (410, Error),
    "createImageApiJob": (410, Error),
}
