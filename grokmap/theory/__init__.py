"""Exact references of the grokking literature: one module a system, no training."""
