"""Training jobs: from the request to the end state."""
