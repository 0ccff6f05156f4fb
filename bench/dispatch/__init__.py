"""How many units a second the control plane moves, what it adds to the calls that it must make, and how that grows."""
