"""What was used, by day, by month and as files: other views of the ledger, which agree with it to the last credit."""
