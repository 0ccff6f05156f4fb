"""The answers' shapes, for the document and for the tests that hold the answers to it. One module per room of routes."""

from functions.customer_api.shapes import accounts, job_history, jobs, meta, uploads, usage, webhooks
from functions.customer_api.shapes.base import Answers, Error

__all__ = ["ANSWERS", "Error"]

_ROOMS = (meta, accounts, uploads, jobs, job_history, usage, webhooks)
ANSWERS: Answers = {name: answer for room in _ROOMS for name, answer in room.ANSWERS.items()}
