"""The session keeper: what IBKR's gateway shows, the state it means, and what is done about it."""
