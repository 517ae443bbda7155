"""IBKR's OAuth 1.0a: the portal where a consumer is registered, the live session token, and signed requests."""
