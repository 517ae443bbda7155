"""The MCP server of ib-mcp: tools for agents on top of the guard."""

import os

# FastMCP reads these when it is first imported: our own logs only, no look-up of newer versions, no stray .env file.
for _name, _value in {
    "FASTMCP_CHECK_FOR_UPDATES": "off",
    "FASTMCP_ENV_FILE": os.devnull,
    "FASTMCP_LOG_ENABLED": "false",
    "FASTMCP_MCP_CAMELCASE_COMPAT": "false",
    "FASTMCP_SHOW_SERVER_BANNER": "false",
    "FASTMCP_TELEMETRY_MODE": "off",
}.items():
    os.environ.setdefault(_name, _value)
