"""IBKR's self-service portal: what an owner hands in for a consumer key, and what is handed back."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from ib_simulator.session.users import USERS, User
from ib_simulator.world.accounts import UserKey
from ibkr.dh_parameters import read_prime

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


@dataclass(slots=True)
class Consumer:
    """``encrypted_secret`` (base64) is all that the owner sees of ``secret``; known to IBKR from ``active_from`` on."""

    key: str
    user: User
    access_token: str
    secret: bytes
    encrypted_secret: str
    signature_key: RSAPublicKey
    prime: int
    active_from: float


class Consumers:
    """By consumer key."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"oauth1 {seed}")
        self._by_key: dict[str, Consumer] = {}

    def register(
        self, key: str, signature: str, encryption: str, dh_parameters: str, *, user: UserKey, active_from: float
    ) -> Consumer:
        """``signature`` and ``encryption`` are public keys (PEM). ValueError says what is not taken."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        if not re.fullmatch("[A-Za-z]{9}", key):
            raise ValueError("a consumer key has nine letters")
        signature_key, encryption_key = _public_key(signature), _public_key(encryption)
        try:
            prime = read_prime(dh_parameters)
        except ValueError as error:
            raise ValueError(f"the file of DH parameters {error}") from None
        secret = self._random.randbytes(32)
        encrypted = base64.b64encode(encryption_key.encrypt(secret, PKCS1v15())).decode()
        token = f"{self._random.getrandbits(80):020x}"
        consumer = Consumer(key, USERS[user], token, secret, encrypted, signature_key, prime, active_from)
        self._by_key[key] = consumer
        return consumer

    def find(self, key: str, now: float) -> Consumer | None:
        """The consumer, once IBKR's servers know it."""
        found = self._by_key.get(key)
        return found if found is not None and now >= found.active_from else None

    @property
    def keys(self) -> list[str]:
        return list(self._by_key)


def _public_key(pem: str) -> RSAPublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("a public key is no PEM file") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise ValueError("a public key is no RSA key of 2048 bits")
    return key
