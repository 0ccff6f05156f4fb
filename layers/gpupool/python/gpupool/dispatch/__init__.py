"""The queues that ring for nodes. A message is a hint; the unit's row decides."""
