"""What the published reference tells beyond routes and shapes: examples, refusals and error codes. No request needs it.

A room of routes has a module of the same name here; a new one joins ``_ROOMS``.
"""

from functions.customer_api.reference import accounts, job_history, jobs, meta, uploads, usage, webhooks
from functions.customer_api.reference.base import Note, Notes

__all__ = ["NOTES", "TAGS", "Note"]

_ROOMS = (meta, accounts, uploads, jobs, job_history, usage, webhooks)
NOTES: Notes = {name: note for room in _ROOMS for name, note in room.NOTES.items()}
# The sections of the reference, in the order of a first visit.
TAGS: dict[str, str] = {name: text for room in _ROOMS for name, text in room.TAGS.items()}
