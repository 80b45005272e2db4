"""Trains runs: one compiled program a system, many runs at once."""
