"""`ib-mcp oauth setup | check`: a consumer's keys as IBKR's portal wants them, and whether IBKR takes them."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from ib_mcp.cli.console import say
from ibkr import dh_parameters

_PORTAL = "https://ndcdyn.interactivebrokers.com/sso/Login?action=OAUTH&RL=1&ip2loc=US"
_KEYS = ("signature", "encryption")
_FROM_THE_PORTAL = ("access_token", "access_token_secret")


def run(given: argparse.Namespace) -> int:
    """0 done; 1 when IBKR does not take the keys; 2 for a wrong argument or file."""
    if given.action == "check":
        # The keys are read by the keepalive alone, which this command is no part of.
        command = [sys.executable, "-m", "ib_keepalive.oauth1", str(given.directory), "--url", given.url]
        return subprocess.run(command, check=False).returncode
    try:
        return _set_up(given.directory, given.consumer_key, given.dh)
    except (OSError, ValueError) as problem:
        say(str(problem))
        return 2


def _set_up(directory: Path, consumer_key: str, dh: Path | None) -> int:
    if not re.fullmatch("[A-Za-z]{9}", consumer_key):
        raise ValueError("--consumer-key must have nine letters, of your own choice.")
    parameters = dh_parameters.RFC7919 if dh is None else dh.read_text("utf-8")
    try:
        dh_parameters.read_prime(parameters)
    except ValueError as problem:
        raise ValueError(f"{dh} {problem}.") from None
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = directory / "consumer_key"
    if kept.exists() and kept.read_text("utf-8").strip() != consumer_key:
        raise ValueError(f"{directory} holds the keys of another consumer; give another directory.")
    for name in _KEYS:
        _make_key(directory / f"private_{name}.pem", directory / f"public_{name}.pem")
    if not (directory / "dhparam.pem").exists():
        _write(directory / "dhparam.pem", parameters.strip())
    _write(kept, consumer_key)
    missing = [name for name in _FROM_THE_PORTAL if not (directory / name).exists()]
    say(_steps(directory, consumer_key) if missing else f"Complete. Now: ib-mcp oauth check {directory}")
    return 0


def _make_key(private: Path, public: Path) -> None:
    """A key that is there already stays: IBKR may have its other half."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )

    if private.exists():
        key = load_pem_private_key(private.read_bytes(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError(f"{private} holds no RSA key.")
    else:
        key = generate_private_key(65537, 2048)
        _write(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip())
    _write(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip())


def _write(path: Path, content: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{content}\n")


def _steps(directory: Path, consumer_key: str) -> str:
    return f"""The keys are in {directory}. Next, with a browser:
1. Open {_PORTAL}
   and sign in as the user whose account it is to be.
2. Give the consumer key {consumer_key}, and upload
     public signing key         {directory / "public_signature.pem"}
     public encryption key      {directory / "public_encryption.pem"}
     Diffie-Hellman parameters  {directory / "dhparam.pem"}
3. Have the access token made, and write what the page shows, which it does once, into
     {directory / "access_token"}
     {directory / "access_token_secret"}
4. After a day to two weeks IBKR knows the consumer key. Then: ib-mcp oauth check {directory}
Nobody else may read this directory: who has it can do what you can at IBKR."""
