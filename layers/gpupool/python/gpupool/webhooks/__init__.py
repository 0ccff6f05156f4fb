"""Webhooks: where customers want to be told, and every attempt to tell them."""
