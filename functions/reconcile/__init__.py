"""Finds and repairs what should never happen."""
