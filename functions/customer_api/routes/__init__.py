"""One module per resource; each handler parses, calls one service and maps the answer."""

PREFIX = "/api/v1/customer"
