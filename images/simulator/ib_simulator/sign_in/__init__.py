"""IBKR's sign-in in a browser."""
