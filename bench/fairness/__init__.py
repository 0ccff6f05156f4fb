"""How long customers with little work wait beside one with very much."""
