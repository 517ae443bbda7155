"""Settings of the MCP server."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ib_mcp.auth.verifier import HashedBearer, StaticTokens
from ib_mcp.settings import HttpSettings, McpSettings
from ib_mcp.tags import is_wanted
from ib_service import settings

GUARD = {"guard_url": "http://127.0.0.1:8080", "guard_token": "g"}


def test_stdio_needs_no_token() -> None:
    assert McpSettings(**GUARD).guard_token.get_secret_value() == "g"


@pytest.mark.parametrize("names", [["live", "live"], ["default"]])
def test_no_two_gateways_have_one_name(names: list[str]) -> None:
    extra = [{"name": name, "url": "http://127.0.0.1:8081", "token": "g"} for name in names]
    with pytest.raises(ValidationError, match=f"several gateways are called '{names[-1]}'"):
        McpSettings(**GUARD, extra_guards=extra)


@pytest.mark.parametrize("token", [None, "", "  \n"])
def test_http_needs_a_token_unless_told_otherwise_on_loopback(token: str | None) -> None:
    with pytest.raises(ValidationError, match="is missing"):
        HttpSettings(**GUARD, token=token)
    assert HttpSettings(**GUARD, token=token, no_auth=True).token is not None or token is None
    with pytest.raises(ValidationError, match="loopback"):
        HttpSettings(**GUARD, token=token, no_auth=True, host="0.0.0.0")


def test_lists_and_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-of-the-owner ibkr:read ibkr:trade\n")
    monkeypatch.setenv("IB_MCP_GUARD_URL", "http://guard:8080")
    monkeypatch.setenv("IB_MCP_GUARD_TOKEN", "g")
    monkeypatch.setenv("IB_MCP_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("IB_MCP_INCLUDE_TAGS", "market data, Portfolio,")
    monkeypatch.setenv("IB_MCP_ALLOWED_HOSTS", "mcp.example.com,ibkr-mcp")
    read = settings.read(HttpSettings)
    assert read.include_tags == ("Market Data", "Portfolio")
    assert read.allowed_hosts == ("mcp.example.com", "ibkr-mcp")
    assert "secret-of" not in repr(read)


def test_a_tag_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValidationError, match="FYIs and Notifications"):
        McpSettings(**GUARD, exclude_tags="Orders,Typo")


@pytest.mark.parametrize(
    ("tags", "included", "excluded", "wanted"),
    [
        ({"Orders"}, (), (), True),
        ({"Orders"}, ("Orders",), (), True),
        ({"Orders"}, ("Scanner",), (), False),
        ({"Orders", "Scanner"}, ("Scanner",), (), True),
        ({"Orders", "Scanner"}, ("Scanner",), ("Orders",), False),
    ],
)
def test_excluded_wins_over_included(
    tags: set[str], included: tuple[str, ...], excluded: tuple[str, ...], wanted: bool
) -> None:
    assert is_wanted(tags, included, excluded) is wanted


@pytest.mark.parametrize("token", ["my secret phrase", "sha256:12ab", "one ibkr:read\ntwo ibkr:all"])
def test_a_token_that_may_be_meant_otherwise_is_refused_and_not_shown(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IB_MCP_TOKEN", token)
    with pytest.raises(SystemExit):
        settings.read(HttpSettings, **GUARD)
    said = capsys.readouterr().err
    assert "IB_MCP_TOKEN" in said
    assert "phrase" not in said
    assert "12ab" not in said


def test_a_token_that_could_be_guessed_is_refused_with_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IB_MCP_TOKEN", "fifteen-letters\n")
    with pytest.raises(SystemExit):
        settings.read(HttpSettings, **GUARD)
    said = capsys.readouterr().err
    assert "IB_MCP_TOKEN: holds a token of less than 16 characters; make one with: openssl rand -hex 32" in said
    assert "fifteen" not in said


async def test_tokens_have_scopes_and_are_kept_as_digests() -> None:
    verifier = HashedBearer(StaticTokens("plain-token-of-one\nrich-token-of-other ibkr:read ibkr:trade\n\n"))
    assert "plain-token" not in repr(vars(verifier)) + repr(vars(verifier._tokens))
    read = await verifier.verify_token("plain-token-of-one")
    trade = await verifier.verify_token("rich-token-of-other")
    assert read is not None
    assert trade is not None
    assert (read.scopes, trade.scopes) == (["ibkr:read"], ["ibkr:read", "ibkr:trade"])
    assert await verifier.verify_token("plain-token-of-one ibkr:read") is None
