"""How things look to their owner. What is not listed here (bucket keys, hashes of secrets, node ids, leases) never leaves."""
