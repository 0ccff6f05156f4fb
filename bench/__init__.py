"""Measurements as ratios, taken side by side in one run; medians with their spread, because machines are noisy."""
