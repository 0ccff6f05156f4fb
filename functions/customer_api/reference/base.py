"""What a note on an operation says, and values that examples share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
CSV = "text/csv"

# Examples tell one story: Ada uploads points, trains a line on them and takes the model.
DATASET_ID = "019aa5f0-3c1e-7b52-9d7e-5f1c2a7d9e01"
PACKAGE_ID = "019aa5f0-6a44-7d18-8c25-0b6e4f3a2c02"
JOB_ID = "019aa5f1-12b7-7e90-a3c4-7d5b8e6f1a03"
UNIT_ID = f"{JOB_ID}.00001"
CURSOR = "eyJ0cyI6MTc5NTQzODgwMCwiayI6eyJpZCI6IjAxOWFhNWYxIn19c2lnbmVk"
AT = "2026-11-22T02:42:03.096Z"
LATER = "2026-11-22T02:57:03.096Z"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@dataclass(frozen=True, slots=True)
class Note:
    """What the document tells of one operation beyond what follows from its route and its shape.

    ``sends`` and ``answers`` are examples of the body and of the success (of a success in another ``media`` type: its text).
    ``refuses`` are the codes that do not follow from the route; see ``document.refusals``. ``also`` are statuses besides the
    success that are no refusals, such as ``{303: "The file is at Location."}``. ``headers`` names headers of the success.
    """

    sends: Any = None
    answers: Any = None
    refuses: tuple[str, ...] = ()
    media: str = JSON
    also: Mapping[int, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Notes = dict[str, Note]


def listed(*items: Any) -> dict[str, Any]:
    """A first page of more."""
    return {"data": list(items), "page": {"limit": 50, "next_cursor": CURSOR, "has_more": True}}


def full(*items: Any) -> dict[str, Any]:
    """A page that is the last."""
    return {"data": list(items), "page": {"limit": 50, "next_cursor": None, "has_more": False}}
