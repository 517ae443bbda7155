"""The server as its own authorization server: agents register, the owner approves, tokens are renewed and revoked."""
