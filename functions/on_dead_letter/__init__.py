"""Because a doorbell rang too often: rings again, or fails the unit."""
