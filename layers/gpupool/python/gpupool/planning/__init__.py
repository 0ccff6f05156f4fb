"""From a package's manifest and a job's wishes to a DAG of compute units and its price. Pure functions only."""
