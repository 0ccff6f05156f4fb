"""Compute units: the leases on them and the moves between their states."""
