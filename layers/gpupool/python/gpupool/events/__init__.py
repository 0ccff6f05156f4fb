"""What happened to a customer's jobs: the timeline they read, and what their webhooks are told."""
