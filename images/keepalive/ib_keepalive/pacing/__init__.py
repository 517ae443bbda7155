"""Turns under IBKR's limits, fair between callers."""
