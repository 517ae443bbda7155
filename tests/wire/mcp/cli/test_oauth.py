"""`ib-mcp oauth`: an owner who makes keys, hands them in and has them checked, with the simulator as IBKR."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import httpx
import pytest

from ib_simulator.app import Simulator
from support import cli
from support.oauth1 import Owner
from support.serve import serve


async def _run(folder: Path, *arguments: str) -> tuple[int, str]:
    done = await asyncio.to_thread(cli.run, folder, "oauth", *arguments)
    return done.returncode, done.stdout + done.stderr


async def test_an_owner_comes_from_no_keys_to_a_signed_call(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    simulator = Simulator(role="backend", limits=False)
    async with serve(simulator.app) as url, serve(simulator.control) as control, httpx.AsyncClient() as portal:
        code, said = await _run(tmp_path, "setup", "--consumer-key", "MYAGENTSX", str(keys))
        assert code == 0, said
        assert {file.name for file in keys.iterdir()} == {
            "consumer_key",
            "dhparam.pem",
            "private_encryption.pem",
            "private_signature.pem",
            "public_encryption.pem",
            "public_signature.pem",
        }
        assert stat.S_IMODE((keys / "private_signature.pem").stat().st_mode) == 0o600
        code, said = await _run(tmp_path, "check", str(keys), "--url", url)
        assert code == 2
        assert "access_token cannot be read" in said
        handed_in = {
            "consumer_key": "MYAGENTSX",
            "signature_key": (keys / "public_signature.pem").read_text(),
            "encryption_key": (keys / "public_encryption.pem").read_text(),
            "dh_parameters": (keys / "dhparam.pem").read_text(),
        }
        shown = (await portal.post(f"{control}/control/oauth1/consumers", json=handed_in)).json()
        for name, content in shown.items():
            (keys / name).write_text(content)
        before = (keys / "private_signature.pem").read_text()
        code, said = await _run(tmp_path, "setup", "--consumer-key", "MYAGENTSX", str(keys))
        assert (code, "oauth check" in said) == (0, True)
        assert (keys / "private_signature.pem").read_text() == before
        code, said = await _run(tmp_path, "check", str(keys), "--url", url)
        assert code == 0, said
        assert "takes the keys" in said
        (keys / "consumer_key").write_text("OTHERSKEY")
        code, said = await _run(tmp_path, "check", str(keys), "--url", url)
        assert code == 1
        assert "invalid consumer" in said
    code, said = await _run(tmp_path, "check", str(keys), "--url", url)
    assert code == 1
    assert "cannot be reached" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--consumer-key", "short"), "nine letters"),
        (("--consumer-key", "MYAGENTSX", "--dh", "FILE"), "no DH PARAMETERS"),
    ],
)
async def test_what_the_portal_would_not_take_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    given = [str(wrong) if argument == "FILE" else argument for argument in arguments]
    code, said = await _run(tmp_path, "setup", *given, str(tmp_path / "keys"))
    assert code == 2
    assert words in said


async def test_keys_of_another_consumer_are_left_alone(tmp_path: Path) -> None:
    Owner().write(tmp_path)
    code, said = await _run(tmp_path, "setup", "--consumer-key", "MYAGENTSX", str(tmp_path))
    assert code == 2
    assert "another consumer" in said
