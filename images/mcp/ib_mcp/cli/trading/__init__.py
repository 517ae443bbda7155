"""`ib-mcp trading` and `ib-mcp orders`."""
