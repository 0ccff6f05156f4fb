"""Queue of webhook attempts."""
