"""What drives a job through its DAG: the execution's steps, and the outbox that acts on what was written."""
