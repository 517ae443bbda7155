"""`ib-mcp`, also as `python -m ib_mcp`."""

from __future__ import annotations

import os
import sys

from ib_mcp.cli.arguments import parser
from ibkr import __version__


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 found broken, 2 called wrongly or settings missing, 130 interrupted."""
    try:
        code = _command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python would complain again while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return code


def _command(arguments: list[str] | None) -> int:
    """Each command is loaded when it is the one asked for: loading the MCP server takes a second."""
    commands = parser()
    given = commands.parse_args(arguments)
    if given.version:
        sys.stdout.write(f"ib-mcp {__version__}\n")
        return 0
    match given.command:
        case "up":
            from ib_mcp.cli.up import command as up

            return up.run(given)
        case "serve":
            from ib_mcp.cli import serve

            return serve.run(given)
        case "stdio":
            from ib_mcp.cli.stdio import command as stdio

            return stdio.run(given)
        case "doctor":
            from ib_mcp.cli.doctor import command as doctor

            return doctor.run(given)
        case "grants":
            from ib_mcp.cli import grants

            return grants.run(given)
        case "passphrase":
            from ib_mcp.cli import passphrase

            return passphrase.run()
        case "connect":
            from ib_mcp.cli.connect import command as connect

            return connect.run(given)
        case "token":
            from ib_mcp.cli.token import command as token

            return token.run(given)
        case "trading":
            from ib_mcp.cli.trading import command as trading

            return trading.run(given)
        case "orders":
            from ib_mcp.cli.trading import log

            return log.run(given)
        case "oauth":
            from ib_mcp.cli import oauth

            return oauth.run(given)
        case "endpoints":
            from ib_mcp.cli import endpoints

            return endpoints.run(given)
    commands.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
