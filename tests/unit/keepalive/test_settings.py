"""Settings of the keepalive process."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_keepalive.settings import KeepaliveSettings
from ib_service.settings import read
from support.oauth1 import Owner


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KeepaliveSettings.model_fields:
        for suffix in ("", "_FILE"):
            monkeypatch.delenv(f"IB_KEEPALIVE_{name}{suffix}".upper(), raising=False)


def test_missing_and_wrong_settings_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IB_KEEPALIVE_TOKEN", "short")
    monkeypatch.setenv("IB_KEEPALIVE_DATA_PORT", "70000")
    with pytest.raises(SystemExit) as ended:
        read(KeepaliveSettings)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    for name in ("IB_KEEPALIVE_GATEWAY_URL", "IB_KEEPALIVE_TOKEN", "IB_KEEPALIVE_DATA_PORT"):
        assert name in told
    assert "short" not in told.replace("shorter", "")


@pytest.mark.parametrize(
    "url", ["localhost:5000", "ftp://x", "https://", "https://x/v1/api", "https://x?y", "https://x:y"]
)
def test_gateway_url_is_scheme_host_and_port(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(KeepaliveSettings, gateway_url=url, token="token-of-tests")
    assert "IB_KEEPALIVE_GATEWAY_URL" in capsys.readouterr().err


def test_slash_at_the_end_of_the_gateway_url_is_harmless() -> None:
    assert KeepaliveSettings(gateway_url="https://x:5000/", token="token-of-tests").gateway_url == "https://x:5000"


def test_names_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_KEEPALIVE_LOGIN_NAMES", "One.example, two.example,")
    settings = KeepaliveSettings(gateway_url="https://x:5000", token="token-of-tests")
    assert settings.login_names == ("one.example", "two.example")


def test_token_may_come_from_a_file_and_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token-in-a-file\n")
    monkeypatch.setenv("IB_KEEPALIVE_TOKEN_FILE", str(tmp_path / "token"))
    settings = read(KeepaliveSettings, gateway_url="https://x:5000")
    assert settings.token.get_secret_value() == "token-in-a-file"
    assert "token-in-a-file" not in repr(settings)


def test_authority_must_be_a_file_of_certificates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        with pytest.raises(SystemExit):
            read(KeepaliveSettings, gateway_url="https://x", token="token-of-tests", gateway_ca_file=str(path))
        assert "IB_KEEPALIVE_GATEWAY_CA_FILE" in capsys.readouterr().err


def test_with_oauth1_no_gateway_is_named_and_the_keeper_opens_the_session(tmp_path: Path) -> None:
    settings = read(KeepaliveSettings, backend="oauth1", oauth1_dir=Owner().write(tmp_path), token="token-of-tests")
    assert settings.gateway_url == "https://api.ibkr.com"
    assert settings.brokerage_login == "keeper"


def test_with_oauth1_files_that_cannot_be_used_are_named_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Owner().write(tmp_path)
    (tmp_path / "dhparam.pem").write_text("nothing")
    for given, words in (
        ({"oauth1_dir": tmp_path}, f"IB_KEEPALIVE_OAUTH1_DIR: {tmp_path / 'dhparam.pem'} has no DH PARAMETERS"),
        ({}, "IB_KEEPALIVE_OAUTH1_DIR: is missing"),
        ({"brokerage_login": "gateway"}, "IB_KEEPALIVE_BROKERAGE_LOGIN: there is no gateway program"),
    ):
        with pytest.raises(SystemExit):
            read(KeepaliveSettings, backend="oauth1", token="token-of-tests", **given)
        assert words in capsys.readouterr().err
