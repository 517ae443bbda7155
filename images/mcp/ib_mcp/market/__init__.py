"""Instruments, accounts, quotes and bars: what the tools know about the market."""
