"""Lines of tokens, and the folder in which named ones are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ib_mcp.auth import tokens
from ib_mcp.auth.token_folder import TokenFolder
from ib_mcp.auth.verifier import StaticTokens

SECRET = "secret-of-an-agent"


def line(token: str, words: str = "") -> str:
    return f"sha256:{tokens.digest_of(token).hex()} {words}\n"


def test_a_line_says_name_scopes_accounts_and_end() -> None:
    (token,) = tokens.parse(f"{SECRET} ibkr:read ibkr:trade name=laptop accounts=U1,U2 expires=2027-01-31").values()
    assert token.grant.name == "laptop"
    assert token.grant.scopes == {"ibkr:read", "ibkr:trade"}
    assert token.grant.accounts == {"U1", "U2"}
    assert (token.is_valid(1801353599), token.is_valid(1801353600)) == (True, False)
    assert tokens.parse(tokens.written(token)) == {token.digest: token}
    assert SECRET not in tokens.written(token)


def test_a_token_alone_may_read_every_account_and_has_no_name_of_its_own() -> None:
    (token,) = tokens.parse(SECRET).values()
    assert (token.grant.scopes, token.grant.accounts, token.expires_at) == ({"ibkr:read"}, None, None)
    assert not token.grant.is_own_name
    assert SECRET not in token.grant.name


@pytest.mark.parametrize(
    "words", ["ibkr:all", "name=Laptop", "name=../x", "accounts=", "accounts=U1;U2", "expires=soon", "colour=red"]
)
def test_a_line_that_is_written_otherwise_is_refused_without_the_token(words: str) -> None:
    with pytest.raises(ValueError) as refused:
        tokens.parse(f"{SECRET} {words}")
    assert SECRET not in str(refused.value)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_folder_is_read_again_when_it_changes(tmp_path: Path) -> None:
    clock = Clock()
    found = StaticTokens("", TokenFolder(tmp_path / "tokens", clock))
    assert found.find(SECRET) is None
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens/laptop").write_text(line(SECRET))
    clock.now += 2
    granted = found.find(SECRET)
    assert granted is not None
    assert (granted.client_id, granted.scopes) == ("laptop", ["ibkr:read"])
    (tmp_path / "tokens/laptop").write_text(line(SECRET, "ibkr:write ibkr:read"))
    (tmp_path / "tokens/phone").write_text(line("secret-of-a-phone"))
    clock.now += 2
    granted = found.find(SECRET)
    assert granted is not None
    assert granted.scopes == ["ibkr:read", "ibkr:write"]
    assert found.find("secret-of-a-phone") is not None
    (tmp_path / "tokens/laptop").unlink()
    clock.now += 2
    assert found.find(SECRET) is None
    assert found.find("secret-of-a-phone") is not None


def test_a_secret_that_the_cluster_swaps_is_seen(tmp_path: Path) -> None:
    """Kubernetes lays files of a Secret into a folder, and turns one link to another folder."""
    for version, token in (("1", SECRET), ("2", "secret-of-a-phone")):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}/laptop").write_text(line(token))
    os.symlink("..1", tmp_path / "..data")
    os.symlink("..data/laptop", tmp_path / "laptop")
    clock = Clock()
    found = StaticTokens("", TokenFolder(tmp_path, clock))
    assert found.find(SECRET) is not None
    os.symlink("..2", tmp_path / "..next")
    (tmp_path / "..next").rename(tmp_path / "..data")
    clock.now += 2
    assert found.find(SECRET) is None
    assert found.find("secret-of-a-phone") is not None


def test_one_bad_file_takes_only_itself_out(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("sha256:12ab")
    (tmp_path / "worse").write_bytes(b"\xff\xfe")
    (tmp_path / "good").write_text(line(SECRET))
    assert StaticTokens("", TokenFolder(tmp_path)).find(SECRET) is not None


def test_a_token_ends_when_it_is_over() -> None:
    now = Clock()
    found = StaticTokens(f"{SECRET} expires=1970-01-01T00:01:40Z", wall=now)
    assert found.find(SECRET) is not None
    now.now = 100
    assert found.find(SECRET) is None
