"""Credits: a double-entry ledger in which a transfer's id is derived from what it pays for."""
