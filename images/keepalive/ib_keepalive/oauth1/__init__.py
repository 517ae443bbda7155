"""IBKR's OAuth 1.0a in place of its gateway program: keys, the live session token, a signature on every request."""
