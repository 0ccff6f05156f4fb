"""The second program: runs inside the sandbox, on the standard library alone, and talks by files and exit code."""
