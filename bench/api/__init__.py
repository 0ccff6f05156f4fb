"""The customer API beside a bare FastAPI + Mangum handler: what an import and a request cost on top."""
