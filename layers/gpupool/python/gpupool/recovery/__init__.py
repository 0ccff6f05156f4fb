"""Finding and repairing what should never happen: what a lost message, a record given up or a dead step left behind."""
