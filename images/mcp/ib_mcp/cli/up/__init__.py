"""`ib-mcp up`."""
