"""Customers, their portal sessions and their API keys."""
