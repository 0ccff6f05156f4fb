"""What every HTTP door shares: the error envelope and the request id. The only room of the core that knows FastAPI."""
