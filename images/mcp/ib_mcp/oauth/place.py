"""Where the server is for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ib_mcp.oauth.addresses import names_us

MCP = "/mcp"
_RESOURCE = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class Place:
    """``base``: https://host, or with the path under which all of the server lies there; without a closing slash."""

    base: str
    scopes: tuple[str, ...]
    """That can be had here."""
    is_issuer: bool = True
    """Whether agents are let in here too."""
    others: tuple[str, ...] = ()
    """Further issuers by whom agents are let in."""

    @property
    def origin(self) -> str:
        return self.base.removesuffix(self.prefix)

    @property
    def prefix(self) -> str:
        """Empty at the root of a host."""
        return urlsplit(self.base).path

    def at(self, path: str) -> str:
        """How browsers know a path of this server."""
        return self.prefix + path

    @property
    def resource(self) -> str:
        return self.base + MCP

    @property
    def issuer(self) -> str:
        return self.base

    @property
    def issuers(self) -> list[str]:
        """By whom agents are let in."""
        return [*([self.issuer] if self.is_issuer else ()), *self.others]

    @property
    def resource_metadata(self) -> str:
        return f"{self.origin}{_RESOURCE}{self.prefix}{MCP}"

    def is_meant_by(self, asked: str | None) -> bool:
        """Whether a resource indicator means this server; none does too."""
        return names_us(asked, self.origin, self.at(MCP)) or names_us(asked, self.base, MCP)
