"""The FastMCP server and what lies around each call."""
