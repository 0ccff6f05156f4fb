"""The real services, planner and steps on the in-memory stores, under a virtual clock and everything that can go wrong."""
