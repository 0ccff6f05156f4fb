"""The execution's walk over a job's units."""
