"""What every process of ib-mcp stands on: logs, settings and HTTP."""
