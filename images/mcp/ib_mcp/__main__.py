"""`ib-mcp`, also as `python -m ib_mcp`."""

from __future__ import annotations

import sys

from ib_mcp.cli.arguments import parser


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 found broken, 2 called wrongly or settings missing."""
    commands = parser()
    given = commands.parse_args(arguments)
    # Each command is loaded when it is the one asked for: loading the MCP server takes a second.
    if given.version:
        from importlib.metadata import version

        sys.stdout.write(f"ib-mcp {version('ib-mcp')}\n")
        return 0
    match given.command:
        case "up":
            from ib_mcp.cli import up

            return up.run(given)
        case "serve":
            from ib_mcp.cli import serve

            return serve.run(given)
        case "stdio":
            from ib_mcp.cli import stdio

            return stdio.run(given)
        case "doctor":
            from ib_mcp.cli import doctor

            return doctor.run(given)
    commands.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
