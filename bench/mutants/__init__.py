"""Small deliberate mistakes in the code that leases, pays and settles: the suites must notice every one of them."""
