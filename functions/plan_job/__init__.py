"""The execution's first step: writes the job's units."""
