"""`ib-mcp stdio`."""
