"""What customers send, one module per room of routes."""
