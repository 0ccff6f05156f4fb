"""An in-process cloud: the real handlers on moto, and a small deterministic driver that plays what AWS does around them."""
