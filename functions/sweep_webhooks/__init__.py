"""Schedule that finds webhook attempts nobody rang for."""
