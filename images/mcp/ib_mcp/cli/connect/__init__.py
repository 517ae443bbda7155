"""`ib-mcp connect`."""
