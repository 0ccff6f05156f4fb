"""Stream of ``events``."""
