"""What a million units cost: every billed call of the real handlers, counted and priced."""
