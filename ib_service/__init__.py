"""What every process of ib-mcp stands on: logs and settings."""
