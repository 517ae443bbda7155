"""Settings from the environment: secrets from files, every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ib_service import settings


class Part(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="IB_PART_")

    url: str
    token: SecretStr
    port: int = 8080


def set_environment(monkeypatch: pytest.MonkeyPatch, **variables: object) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"IB_PART_{name}", str(value))


def refused(capsys: pytest.CaptureFixture[str], **given: object) -> list[str]:
    """The lines on stderr with which ``read`` ended the process."""
    with pytest.raises(SystemExit) as end:
        settings.read(Part, **given)
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, URL="http://x", TOKEN="s3cret", PORT=9)
    part = settings.read(Part)
    assert (part.url, part.token.get_secret_value(), part.port) == ("http://x", "s3cret", 9)


def test_a_given_value_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_environment(monkeypatch, URL="http://x", TOKEN="s3cret", PORT=9, TOKEN_FILE=tmp_path / "missing")
    part = settings.read(Part, port=0, token="given")
    assert (part.token.get_secret_value(), part.port) == ("given", 0)


def test_a_value_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n", "utf-8")
    set_environment(monkeypatch, URL="http://x", TOKEN_FILE=tmp_path / "token")
    assert settings.read(Part).token.get_secret_value() == "from a file"


def test_a_wrong_value_is_named_in_our_words_alone(capsys: pytest.CaptureFixture[str]) -> None:
    class Even(Part):
        @field_validator("port")
        @classmethod
        def _even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("is odd")
            return value

    with pytest.raises(SystemExit):
        settings.read(Even, url="x", token="y", port=7)
    assert "  IB_PART_PORT: is odd" in capsys.readouterr().err.splitlines()


def test_everything_missing_is_named_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys) == [
        "Settings are missing or wrong:",
        "  IB_PART_URL: is missing",
        "  IB_PART_TOKEN: is missing",
    ]


def test_missing_wrong_and_unreadable_ones_are_named_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    set_environment(monkeypatch, PORT="eighty", TOKEN_FILE=tmp_path / "missing")
    lines = refused(capsys)
    assert lines[0] == "Settings are missing or wrong:"
    assert f"  IB_PART_TOKEN_FILE: cannot read {tmp_path / 'missing'}: No such file or directory" in lines
    assert "  IB_PART_URL: is missing" in lines
    assert any(line.startswith("  IB_PART_PORT: ") for line in lines)
    assert len(lines) == 4


def test_a_file_that_is_no_text_or_empty_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").write_text("\n", "utf-8")
    set_environment(monkeypatch, URL_FILE=tmp_path / "empty", TOKEN_FILE=tmp_path / "binary")
    lines = refused(capsys)
    assert f"  IB_PART_URL_FILE: {tmp_path / 'empty'} is empty" in lines
    assert f"  IB_PART_TOKEN_FILE: {tmp_path / 'binary'} is not UTF-8 text" in lines


def test_a_wrong_secret_is_not_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    set_environment(monkeypatch, URL="http://x", TOKEN="s3cret", PORT="s3cret too")
    assert "s3cret" not in "\n".join(refused(capsys))


def test_a_list_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Listing(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="IB_PART_")

        hosts: list[str]

    set_environment(monkeypatch, HOSTS="[no json")
    with pytest.raises(SystemExit) as end:
        settings.read(Listing)
    assert end.value.code == 2
    assert "hosts" in capsys.readouterr().err
