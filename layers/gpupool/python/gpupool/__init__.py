"""The core of the compute pool: one room per domain, shipped to every Lambda function as a layer."""
