"""One user's session at IBKR."""
