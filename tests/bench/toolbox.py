"""``python -m tests.bench.toolbox N``: the MCP server with ``list_accounts`` and N - 1 copies under other names."""

from __future__ import annotations

import functools
import sys

from ib_mcp.http.serve import serve_http
from ib_mcp.server import server
from ib_mcp.settings import HttpSettings
from ib_mcp.tools.accounts import list_accounts
from ib_mcp.tools.base import Function
from ib_service import settings


def _copy(number: int) -> Function:
    copied = functools.wraps(list_accounts)(functools.partial(list_accounts))
    copied.__name__ = f"list_accounts_{number}"
    return copied


if __name__ == "__main__":
    server.TOOLS = (list_accounts, *(_copy(number) for number in range(1, int(sys.argv[1]))))
    serve_http(settings.read(HttpSettings))
