"""`ib-mcp doctor`."""
