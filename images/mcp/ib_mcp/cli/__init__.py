"""The command line. No module imports the MCP server before a command needs it, so that `ib-mcp up` starts at once."""
