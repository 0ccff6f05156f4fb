"""The laptop runtime: the synthesised template on a pinned AWS emulator."""
