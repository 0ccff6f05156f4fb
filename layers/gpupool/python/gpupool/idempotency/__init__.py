"""Which request a key was first used for, so that a repeat gets the first answer."""
