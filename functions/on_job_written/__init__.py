"""Because a job was written: starts its execution, or wakes it for a cancel."""
