"""The commands of `ib-mcp` and their options."""

from __future__ import annotations

import argparse
from pathlib import Path

from ib_mcp.cli.connect.agents import AGENTS
from ib_mcp.cli.stack import DEFAULT_PORT

_ABOUT = "Interactive Brokers' Web API for AI agents."
_EXAMPLES = """\
start here:
  ib-mcp up                                    try everything with the simulator, no account needed
  ib-mcp up --gateway https://localhost:5000   use IBKR's Client Portal Gateway
  ib-mcp doctor                                find out what does not work, and the cure
"""
_STATE = "The tokens stay the same from one start to the next; they are kept in ~/.local/state/ib-mcp."


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="ib-mcp",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    up = _command(commands, "up", "run everything on this machine and print what to paste into an agent", _STATE)
    up.add_argument("--gateway", metavar="URL", help="use this Client Portal Gateway; without it the simulator runs")
    up.add_argument("--signed-out", action="store_true", help="start the simulator signed out, to try the login page")
    up.add_argument("--scenario", metavar="FILE", type=Path, help="let the simulator play this scenario (YAML)")
    up.add_argument(
        "--trading",
        metavar="MODE",
        choices=("preview", "paper"),
        help="let agents preview orders, or trade in a paper account, within the limits of a policy file made for you",
    )
    up.add_argument("--write", metavar="FILE", type=Path, help="write addresses and tokens as JSON, removed at the end")
    up.add_argument(
        "--port",
        metavar="N",
        type=int,
        default=DEFAULT_PORT,
        help="first of six ports, N to N+5 (default %(default)s; 0 picks free ones)",
    )

    serve = _command(
        commands,
        "serve",
        "run the MCP server alone, in front of a guard",
        "Settings come from the environment: IB_MCP_GUARD_URL, IB_MCP_GUARD_TOKEN, IB_MCP_TOKEN and others.",
    )
    serve.add_argument("--no-auth", action="store_true", help="ask for no token; only while listening on loopback")

    stdio = _command(
        commands,
        "stdio",
        "serve one agent on standard input and output (Claude Desktop, Cline)",
        "Uses the given gateway, else the guard of IB_MCP_GUARD_URL and IB_MCP_GUARD_TOKEN, else that of 'ib-mcp up'.",
    )
    stdio.add_argument("--gateway", metavar="URL", help="use this Client Portal Gateway")
    stdio.add_argument("--scope", metavar="SCOPES", help="what the agent may do: read, write, trade, by commas")
    stdio.add_argument("--account", metavar="ID", action="append", help="only this account, may be repeated")

    doctor = _command(
        commands,
        "doctor",
        "check the way from here to market data, link by link",
        "Exit code 0 when every link holds, 1 when one is broken.",
    )
    doctor.add_argument(
        "--gateway",
        metavar="URL",
        help="check this gateway; without it the guard of IB_MCP_GUARD_URL or the running 'ib-mcp up'",
    )
    doctor.add_argument(
        "--public", metavar="URL", help="go the way of a hosted agent instead, to https://HOST/mcp from outside"
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")

    connect = _command(
        commands,
        "connect",
        "print or write what an agent has to know of the server",
        "Without --url: the server that 'ib-mcp up' runs.",
    )
    connect.add_argument("agent", metavar="AGENT", choices=AGENTS, help=", ".join(AGENTS))
    connect.add_argument("--url", metavar="URL", help="of the server: https://HOST/mcp, or that of a port-forward")
    connect.add_argument(
        "--token", metavar="TOKEN", help="that the agent shows; with --url and without a token it signs in by OAuth"
    )
    connect.add_argument("--write", action="store_true", help="put it into the agent's file, after a backup")

    token = _command(
        commands,
        "token",
        "a token of its own for each agent: make, list or revoke",
        "Only digests are kept: in the folder that 'ib-mcp up' serves (or that of IB_MCP_TOKENS_DIR), or in a Secret.",
    )
    _token(token.add_subparsers(dest="action", metavar="ACTION", required=True))

    grants = _command(
        commands,
        "grants",
        "agents that came in by OAuth: list them, or end what one was granted",
        "On a cluster: kubectl exec deploy/RELEASE-ib-mcp-mcp -- python3 -m ib_mcp grants list",
    )
    actions = grants.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = _command(actions, "list", "names, scopes, accounts and times of all grants", "")
    revoke = _command(actions, "revoke", "let an agent in no more", "")
    revoke.add_argument("name", metavar="NAME", help="of the grant")
    for action in (listed, revoke):
        action.add_argument("--store", metavar="FILE", type=Path, help="the file (default: IB_MCP_OAUTH_STORE)")

    trading = _command(
        commands,
        "trading",
        "stop all trading at once, see what may be traded, or start it again",
        "Without --control: the guard of IB_MCP_GUARD_URL, which only stops, else the running 'ib-mcp up'.",
    )
    _trading(trading.add_subparsers(dest="action", metavar="ACTION", required=True))

    orders = _command(commands, "orders", "the audit of orders: who wanted what, and what became of it", "")
    log = _command(
        orders.add_subparsers(dest="view", metavar="VIEW", required=True),
        "log",
        "every decision about an order, newest last",
        "Without --file: that of the last 'ib-mcp up --trading'.",
    )
    log.add_argument("--file", metavar="FILE", type=Path, help="this audit.jsonl; - reads standard input")
    log.add_argument("--since", metavar="WHEN", help="15m, 12h, 7d ago, or a date in UTC")
    for name, about in (
        ("event", "previewed, refused, asked, decided, permitted, sent, outcome, stopped or started"),
        ("account", "of this account"),
        ("caller", "that this agent wanted"),
        ("outcome", "that ended so: filled, working, rejected, outcome_unknown ..."),
    ):
        log.add_argument(f"--{name}", metavar="NAME", help=f"only {about}")
    log.add_argument("--json", action="store_true", help="print the lines as they are, JSON each")

    _command(
        commands,
        "passphrase",
        "print the hash of a passphrase, for IB_MCP_PASSPHRASE",
        "It is asked for, or read from standard input.",
    )
    oauth = _command(commands, "oauth", "keys for IBKR's OAuth 1.0a, which replaces the gateway and its sign-in", "")
    _oauth(oauth.add_subparsers(dest="action", metavar="ACTION", required=True))
    endpoints = _command(
        commands, "endpoints", "what is known of IBKR's endpoints, and any OpenAPI document of them", ""
    )
    _endpoints(endpoints.add_subparsers(dest="view", metavar="VIEW", required=True))
    return top


def _oauth(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    setup = _command(
        actions, "setup", "make the keys and say what to upload where", "What is there already stays as it is."
    )
    setup.add_argument("--consumer-key", metavar="NAME", required=True, help="nine letters of your choice")
    setup.add_argument(
        "--dh", metavar="FILE", type=Path, help="Diffie-Hellman parameters of your own (default: those of RFC 7919)"
    )
    check = _command(actions, "check", "ask IBKR whether it takes the keys", "")
    check.add_argument("--url", default="https://api.ibkr.com", help="of IBKR (default %(default)s)")
    for action in (setup, check):
        action.add_argument("directory", metavar="DIRECTORY", type=Path, help="where the keys are")


def _trading(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    stop = _command(actions, "stop", "stop all trading at once, over restarts too", "")
    stop.add_argument("--reason", metavar="TEXT", default="", help="shown to agents and in the audit")
    stop.add_argument("--cancel-orders", action="store_true", help="cancel every working order of every account too")
    status = _command(actions, "status", "what may be traded now, the limits, and what was traded in a day", "")
    start = _command(actions, "start", "end a stop", "")
    for action in (stop, status, start):
        action.add_argument(
            "--control", metavar="URL", help="control port of the gateway's pod, such as a port-forward"
        )
        action.add_argument("--json", action="store_true", help="print JSON")


def _token(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    new = _command(actions, "new", "make a token and print it, once", "")
    new.add_argument("name", metavar="NAME", help="of the agent, for logs and metrics: laptop, claude-code")
    new.add_argument(
        "--scope", metavar="SCOPES", default="read", help="read, write, trade, by commas (default %(default)s)"
    )
    new.add_argument(
        "--account", metavar="ID", action="append", help="only this account, may be repeated (default: all)"
    )
    new.add_argument("--expires", metavar="WHEN", help="90d, 12h, 8w, 1y or a date (default: never)")
    listed = _command(actions, "list", "names, scopes, accounts and ends of all tokens", "")
    revoke = _command(actions, "revoke", "make a token useless", "")
    revoke.add_argument("name", metavar="NAME", help="of the token")
    for action in (new, listed, revoke):
        action.add_argument(
            "--secret", metavar="[NAMESPACE/]NAME", help="in this Secret of the cluster that kubectl reaches"
        )


def _endpoints(views: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = _command(views, "report", "what is wrong with an OpenAPI document, by class with counts and places", "")
    repair = _command(views, "repair", "write the document as a valid one of OpenAPI 3.1", "")
    repair.add_argument("--served", action="store_true", help="only the operations that IBKR's gateway serves")
    status = _command(views, "status", "every endpoint and how far it is supported", "")
    diff = _command(
        views, "diff", "what a document has otherwise than this version's catalogue, or another document", ""
    )
    diff.add_argument("--to", metavar="PATH_OR_URL", help="compare with this document; without it with the catalogue")
    for view in (report, repair, status, diff):
        view.add_argument(
            "--spec",
            metavar="PATH_OR_URL",
            required=view is not status,
            help="the OpenAPI document" + ("; without it the catalogue of this version" if view is status else ""),
        )
        view.add_argument("--output", metavar="FILE", type=Path, help="write there instead of to standard output")
    for view in (report, diff):
        view.add_argument("--json", action="store_true", help="print JSON")
    form = status.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str, more: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + ".", epilog=more or None, allow_abbrev=False
    )
