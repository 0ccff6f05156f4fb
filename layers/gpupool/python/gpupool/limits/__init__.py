"""How much a customer may ask for: requests and jobs by the minute, live jobs, compute units by the day."""
