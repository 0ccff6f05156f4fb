"""What a node agent costs its owner while there is no work."""
