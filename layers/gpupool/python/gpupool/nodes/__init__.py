"""The machines of the pool: how they join, prove who they are, and what they may receive."""
