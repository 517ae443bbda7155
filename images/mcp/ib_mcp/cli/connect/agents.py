"""How each agent is told of the server: what is written where, or what a person does."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "ibkr"


@dataclass(frozen=True, slots=True)
class Server:
    """Where the MCP server is; ``token`` is None for one that agents reach by OAuth."""

    url: str
    token: str | None

    @property
    def headers(self) -> dict[str, Any]:
        return {"headers": {"Authorization": f"Bearer {self.token}"}} if self.token else {}


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """An agent's own file. ``within``: the object that holds its servers; ``kind``: json (comments allowed) or toml."""

    path: Path
    within: str
    entry: dict[str, Any]
    kind: str = "json"
    also: str = ""
    """What the person may do instead, or has to do besides."""


def vscode(server: Server) -> ConfigFile:
    entry = {"type": "http", "url": server.url, **server.headers}
    return ConfigFile(Path(".vscode/mcp.json"), "servers", entry)


def claude_add(server: Server) -> list[str]:
    """The words of Claude Code's own command."""
    header = ["--header", f"Authorization: Bearer {server.token}"] if server.token else []
    return ["claude", "mcp", "add", "--transport", "http", NAME, server.url, *header]


def claude_code(server: Server) -> ConfigFile:
    entry = {"type": "http", "url": server.url, **server.headers}
    return ConfigFile(
        Path(".mcp.json"), "mcpServers", entry, also=f"Or for every project: {shlex.join(claude_add(server))}"
    )


def claude_desktop(server: Server) -> ConfigFile:
    """It starts its servers itself: ours over stdio, or mcp-remote (of npm) for one that is not on this machine."""
    home = {"darwin": "~/Library/Application Support/Claude", "win32": "~/AppData/Roaming/Claude"}
    folder = Path(home.get(sys.platform, "~/.config/Claude")).expanduser()
    entry: dict[str, Any] = {"command": "npx", "args": ["-y", "mcp-remote", server.url]}
    if server.token:
        # Claude Desktop on Windows breaks arguments with spaces.
        entry["args"] += ["--header", "Authorization:${IB_MCP_AUTHORIZATION}"]
        entry["env"] = {"IB_MCP_AUTHORIZATION": f"Bearer {server.token}"}
    if server.url.startswith("http://"):
        entry["args"].append("--allow-http")
    return ConfigFile(folder / "claude_desktop_config.json", "mcpServers", entry, also="Then restart Claude Desktop.")


def cursor(server: Server) -> ConfigFile:
    return ConfigFile(Path("~/.cursor/mcp.json").expanduser(), "mcpServers", {"url": server.url, **server.headers})


def cline(server: Server) -> ConfigFile:
    path = Path("~/.cline/data/settings/cline_mcp_settings.json").expanduser()
    return ConfigFile(path, "mcpServers", {"type": "streamableHttp", "url": server.url, **server.headers})


def codex(server: Server) -> ConfigFile:
    home = Path(os.environ.get("CODEX_HOME") or "~/.codex").expanduser()
    headers = {"http_headers": server.headers["headers"]} if server.token else {}
    also = "" if server.token else f"Then: codex mcp login {NAME}"
    return ConfigFile(home / "config.toml", "mcp_servers", {"url": server.url, **headers}, "toml", also)


def gemini_cli(server: Server) -> ConfigFile:
    path = Path("~/.gemini/settings.json").expanduser()
    return ConfigFile(path, "mcpServers", {"httpUrl": server.url, **server.headers})


FILES: dict[str, Callable[[Server], ConfigFile]] = {
    "vscode": vscode,
    "claude-code": claude_code,
    "claude-desktop": claude_desktop,
    "cursor": cursor,
    "cline": cline,
    "codex": codex,
    "gemini-cli": gemini_cli,
}

# Hosted agents come from the internet, to port 443, and sign in by OAuth.
STEPS = {
    "claude-ai": "On claude.ai: Settings, Connectors, Add custom connector. Name {name}, URL {url}.\n"
    "Then Connect, and approve on the page of this server. It then works in Claude's apps too.",
    "chatgpt": "In ChatGPT: Settings, Apps & Connectors, Advanced settings: turn developer mode on. Then Create:\n"
    "name {name}, MCP server URL {url}, authentication OAuth; approve on the page of this server.",
}
AGENTS = (*FILES, *STEPS)


def printed(config: ConfigFile) -> str:
    """What a person pastes."""
    if config.kind == "toml":
        return toml(config)
    return json.dumps({config.within: {NAME: config.entry}}, indent=2) + "\n"


def toml(config: ConfigFile) -> str:
    """The table of the server."""

    def value(one: Any) -> str:
        if isinstance(one, dict):
            return "{ " + ", ".join(f"{json.dumps(key)} = {value(item)}" for key, item in one.items()) + " }"
        return json.dumps(one)

    lines = [f"{key} = {value(one)}" for key, one in config.entry.items()]
    return "\n".join([f"[{config.within}.{NAME}]", *lines]) + "\n"
