"""`ib-mcp serve`: the MCP server over HTTP, with settings from the environment."""

from __future__ import annotations

import argparse

from ib_mcp.http.serve import serve_http
from ib_mcp.settings import HttpSettings
from ib_service import settings


def run(given: argparse.Namespace) -> int:
    serve_http(settings.read(HttpSettings, **({"no_auth": True} if given.no_auth else {})))
    return 0
