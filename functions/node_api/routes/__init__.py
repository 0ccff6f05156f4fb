"""The node door's paths."""
