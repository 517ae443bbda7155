"""What the owner has from IBKR's self-service portal, read from the files of one directory and checked at the start."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ibkr import dh_parameters

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

CONSUMER_KEY = "consumer_key"
ACCESS_TOKEN = "access_token"
ACCESS_TOKEN_SECRET = "access_token_secret"
PRIVATE_SIGNATURE = "private_signature.pem"
PRIVATE_ENCRYPTION = "private_encryption.pem"
DH_PARAMETERS = "dhparam.pem"
# Not needed; where they are, they must be the other halves of the private ones.
PUBLIC = {PRIVATE_SIGNATURE: "public_signature.pem", PRIVATE_ENCRYPTION: "public_encryption.pem"}
_KEY_BITS = 2048
# IBKR's own consumer for tests, which has a realm of its own.
_TEST_CONSUMER = "TESTCONS"


class WrongFiles(ValueError):
    """The message has one line for each file that cannot be used, without anything of its content."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """``secret`` is the access token's, decrypted; ``prime`` that of the Diffie-Hellman parameters."""

    consumer_key: str
    access_token: str
    secret: bytes
    signature_key: RSAPrivateKey
    prime: int

    @property
    def realm(self) -> str:
        return "test_realm" if self.consumer_key == _TEST_CONSUMER else "limited_poa"


def read_credentials(directory: Path) -> Credentials:
    """WrongFiles names every file that is missing or wrong."""
    files = _Files(directory)
    consumer_key = files.line(CONSUMER_KEY)
    if consumer_key and consumer_key != _TEST_CONSUMER and not re.fullmatch("[A-Za-z]{9}", consumer_key):
        files.wrong(CONSUMER_KEY, "must hold the nine letters chosen at IBKR's portal")
    access_token = files.line(ACCESS_TOKEN)
    if access_token and not re.fullmatch("[0-9A-Za-z]+", access_token):
        files.wrong(ACCESS_TOKEN, "must hold letters and digits only")
    encrypted = files.base64(ACCESS_TOKEN_SECRET)
    signature_key = files.private_key(PRIVATE_SIGNATURE)
    encryption_key = files.private_key(PRIVATE_ENCRYPTION)
    prime = files.prime(DH_PARAMETERS)
    secret = files.decrypt(encrypted, encryption_key) if encrypted and encryption_key else b""
    if files.problems or signature_key is None:
        raise WrongFiles("\n".join(files.problems))
    return Credentials(consumer_key, access_token, secret, signature_key, prime)


class _Files:
    """Reads the files of a directory; what is wrong with them gathers in ``problems``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.problems: list[str] = []

    def wrong(self, name: str, why: str) -> None:
        self.problems.append(f"{self._directory / name} {why}")

    def text(self, name: str) -> str:
        try:
            content = (self._directory / name).read_text("utf-8").strip()
        except OSError as error:
            self.wrong(name, f"cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            self.wrong(name, "is no text")
        else:
            if content:
                return content
            self.wrong(name, "is empty")
        return ""

    def line(self, name: str) -> str:
        content = self.text(name)
        if "\n" in content:
            self.wrong(name, "must hold one line")
            return ""
        return content

    def base64(self, name: str) -> bytes:
        content = "".join(self.text(name).split())
        try:
            return base64.b64decode(content, validate=True)
        except binascii.Error:
            self.wrong(name, "is no base64; paste the whole secret that the portal shows")
            return b""

    def prime(self, name: str) -> int:
        content = self.text(name)
        try:
            return dh_parameters.read_prime(content) if content else 0
        except ValueError as error:
            self.wrong(name, str(error))
            return 0

    def private_key(self, name: str) -> RSAPrivateKey | None:
        content = self.text(name)
        try:
            return _rsa_key(content.encode(), self._directory / PUBLIC[name]) if content else None
        except ValueError as error:
            self.wrong(name, str(error))
            return None

    def decrypt(self, encrypted: bytes, key: RSAPrivateKey) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        try:
            if len(encrypted) == key.key_size // 8:
                return key.decrypt(encrypted, PKCS1v15())
        except ValueError:
            pass
        self.wrong(ACCESS_TOKEN_SECRET, f"was not encrypted for {PRIVATE_ENCRYPTION}")
        return b""


def _rsa_key(content: bytes, public_file: Path) -> RSAPrivateKey:
    """ValueError says what is wrong with the key, or that ``public_file`` is there and not its other half."""
    # Megabytes that a keepalive in front of the gateway program does not need.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError:
        raise ValueError("is protected by a password; write it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no private key in PEM form") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _KEY_BITS:
        raise ValueError(f"must hold an RSA key of {_KEY_BITS} bits")
    if not public_file.exists():
        return key
    try:
        public = serialization.load_pem_public_key(public_file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        raise ValueError(f"cannot be compared with {public_file.name} beside it, which holds no public key") from None
    if not isinstance(public, RSAPublicKey) or public.public_numbers() != key.public_key().public_numbers():
        raise ValueError(f"does not belong to {public_file.name} beside it")
    return key
