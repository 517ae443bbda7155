"""`ib-mcp token`."""
