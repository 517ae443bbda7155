"""Keys of an OAuth consumer, made once in a test run, and the files that its owner would have."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from ib_simulator.app import Simulator
from ib_simulator.world.accounts import UserKey
from ibkr.dh_parameters import RFC7919, read_prime

CONSUMER = "TESTERKEY"
ACCESS_TOKEN = "56786fc07bcbabc45840"
SECRET = bytes.fromhex("00fe" * 10)


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same key for the same name."""
    return rsa.generate_private_key(65537, bits)


def private_pem(key: rsa.RSAPrivateKey) -> str:
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*kinds).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    kinds = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*kinds).decode()


@dataclass(frozen=True)
class Owner:
    """Who registered a consumer; ``write`` leaves the files that the keepalive reads."""

    consumer_key: str = CONSUMER
    access_token: str = ACCESS_TOKEN
    secret: bytes = SECRET
    dh_parameters: str = RFC7919

    @property
    def signature_key(self) -> rsa.RSAPrivateKey:
        return rsa_key("signature")

    @property
    def encryption_key(self) -> rsa.RSAPrivateKey:
        return rsa_key("encryption")

    @property
    def prime(self) -> int:
        return read_prime(self.dh_parameters)

    @property
    def encrypted_secret(self) -> str:
        return base64.b64encode(self.encryption_key.public_key().encrypt(self.secret, PKCS1v15())).decode()

    def write(self, directory: Path) -> Path:
        for name, content in {
            "consumer_key": self.consumer_key,
            "access_token": self.access_token,
            "access_token_secret": self.encrypted_secret,
            "private_signature.pem": private_pem(self.signature_key),
            "private_encryption.pem": private_pem(self.encryption_key),
            "dhparam.pem": self.dh_parameters,
        }.items():
            (directory / name).write_text(f"{content}\n")
        return directory


def register(simulator: Simulator, *, user: UserKey = "paper", active_in_s: float = 0) -> Owner:
    """An owner whose keys IBKR has."""
    owner = Owner()
    keys = (public_pem(owner.signature_key), public_pem(owner.encryption_key), owner.dh_parameters)
    active_from = simulator.clock.now() + active_in_s
    consumers = simulator.backend.signed.consumers
    consumer = consumers.register(owner.consumer_key, *keys, user=user, active_from=active_from)
    return replace(owner, access_token=consumer.access_token, secret=consumer.secret)
