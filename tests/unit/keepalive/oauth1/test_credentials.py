"""The files of a consumer: what is wrong is said at once, by the name of the file and without its content."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from ib_keepalive.oauth1.credentials import WrongFiles, read_credentials
from ibkr.dh_parameters import RFC7919
from support.oauth1 import ACCESS_TOKEN, CONSUMER, SECRET, Owner, private_pem, public_pem, rsa_key


def test_good_files_are_read(tmp_path: Path) -> None:
    credentials = read_credentials(Owner().write(tmp_path))
    assert (credentials.consumer_key, credentials.access_token) == (CONSUMER, ACCESS_TOKEN)
    assert credentials.secret == SECRET
    assert credentials.realm == "limited_poa"
    assert SECRET.hex() not in repr(credentials)


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(WrongFiles) as error:
        read_credentials(tmp_path)
    named = [line.split()[0].rpartition("/")[2] for line in str(error.value).splitlines()]
    assert sorted(named) == [
        "access_token",
        "access_token_secret",
        "consumer_key",
        "dhparam.pem",
        "private_encryption.pem",
        "private_signature.pem",
    ]


def _elliptic() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    kinds = (Encoding.PEM, PrivateFormat.PKCS8)
    return key.private_bytes(*kinds, BestAvailableEncryption(b"x")).decode()


def _dh(prime: int, generator: int = 2, *, pad: bool = True) -> str:
    def element(kind: int, content: bytes) -> bytes:
        return bytes([kind, 0x82]) + len(content).to_bytes(2, "big") + content

    number = prime.to_bytes(prime.bit_length() // 8 + pad, "big")
    sequence = element(0x30, element(2, number) + element(2, bytes([generator])))
    body = base64.encodebytes(sequence).decode()
    return f"-----BEGIN DH PARAMETERS-----\n{body}-----END DH PARAMETERS-----"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("consumer_key", "SHORT", "nine letters"),
        ("consumer_key", "a\nb", "one line"),
        ("access_token", "what is this?", "letters and digits"),
        ("access_token_secret", "A" * 129, "no base64"),
        ("access_token_secret", "QUJD", "not encrypted for private_encryption.pem"),
        ("private_signature.pem", "-----BEGIN PRIVATE KEY-----", "no private key"),
        ("private_signature.pem", _elliptic(), "password"),
        ("private_encryption.pem", private_pem(rsa_key("small", 1024)), "2048 bits"),
        ("dhparam.pem", "nothing", "no DH PARAMETERS"),
        ("dhparam.pem", RFC7919[:90] + "\n-----END DH PARAMETERS-----", "cut short"),
        ("dhparam.pem", _dh(Owner().prime, pad=False), "negative"),
        ("dhparam.pem", _dh(Owner().prime, 5), "generator"),
        ("dhparam.pem", _dh(Owner().prime - 2), "no prime"),
        ("dhparam.pem", _dh(2**521 - 1), "521 bits"),
    ],
)
def test_a_wrong_file_is_named_and_its_content_is_not(tmp_path: Path, name: str, content: str, words: str) -> None:
    Owner().write(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(WrongFiles) as error:
        read_credentials(tmp_path)
    [line] = str(error.value).splitlines()
    assert line.startswith(str(tmp_path / name))
    assert words in line
    assert content not in line


def test_a_private_key_must_belong_to_the_public_one_beside_it(tmp_path: Path) -> None:
    owner = Owner()
    owner.write(tmp_path)
    (tmp_path / "public_signature.pem").write_text(public_pem(owner.signature_key))
    read_credentials(tmp_path)
    (tmp_path / "public_signature.pem").write_text(public_pem(owner.encryption_key))
    with pytest.raises(WrongFiles, match=r"private_signature.pem does not belong to public_signature.pem"):
        read_credentials(tmp_path)
