"""Our signatures against ibind's, which are built on another library and are in use with IBKR."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ibind.oauth import oauth1a as witness

from ib_keepalive.oauth1 import signing
from ib_keepalive.oauth1.credentials import Credentials, read_credentials
from ib_keepalive.oauth1.signing import LiveToken, WrongAnswer, read_token, sign_request, sign_token_request
from ibkr import oauth1
from support.oauth1 import Owner, private_pem

URL = "https://api.ibkr.com/v1/api/oauth/live_session_token"


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return read_credentials(Owner().write(tmp_path))


def _parameters(header: str) -> dict[str, str]:
    parameters = oauth1.parse_authorization(header)
    assert parameters is not None
    assert parameters.pop("realm") == "limited_poa"
    return parameters


def test_the_token_request_is_signed_as_the_witness_signs_it(credentials: Credentials) -> None:
    parameters = _parameters(sign_token_request(credentials, URL, 1_795_539_600).authorization)
    signature = parameters.pop("oauth_signature")
    key = witness.RSA.importKey(private_pem(Owner().encryption_key))
    prepend = witness.calculate_live_session_token_prepend(Owner().encrypted_secret, key)
    text = witness.generate_base_string("POST", URL, parameters, prepend=prepend)
    signed = witness.generate_rsa_sha_256_signature(text, witness.RSA.importKey(private_pem(Owner().signature_key)))
    assert witness.parse.unquote(signed) == signature


def test_a_request_is_signed_as_the_witness_signs_it(credentials: Credentials) -> None:
    token, url = LiveToken(bytes(range(20)), 0), "https://api.ibkr.com/v1/api/iserver/marketdata/snapshot"
    header = sign_request(credentials, token, "GET", f"{url}?conids=265598&fields=31%2C84", 1_795_539_600)
    parameters = _parameters(header)
    signature = parameters.pop("oauth_signature")
    text = witness.generate_base_string("GET", url, parameters)
    signed = witness.generate_hmac_sha_256_signature(text, base64.b64encode(token.key).decode())
    assert witness.parse.unquote(signed) == signature
    full = {**parameters, "oauth_signature": signed}
    assert witness.generate_authorization_header_string(full, "limited_poa") == header


@pytest.mark.parametrize("exponent", range(2, 40))
def test_token_and_proof_are_those_of_the_witness(
    credentials: Credentials, exponent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing.secrets, "randbits", lambda bits: exponent**17)
    request = sign_token_request(credentials, URL, 1_795_539_600)
    prime, secret = Owner().prime, Owner().secret.hex()
    theirs = f"{pow(2, exponent**13, prime):x}"
    expected = witness.calculate_live_session_token(f"{prime:x}", f"{request.exponent:x}", theirs, secret)
    key = base64.b64decode(expected)
    answer = {
        "diffie_hellman_response": theirs,
        "live_session_token_signature": oauth1.token_proof(key, Owner().consumer_key),
        "live_session_token_expiration": 1_795_626_000_000,
    }
    proof = answer["live_session_token_signature"]
    assert witness.validate_live_session_token(expected, proof, Owner().consumer_key)
    assert read_token(credentials, request, answer) == LiveToken(key, 1_795_626_000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"live_session_token_signature": "00" * 20}, "another token"),
        ({"live_session_token_signature": None}, "another token"),
        ({"diffie_hellman_response": "no number"}, "half of Diffie-Hellman"),
        ({"diffie_hellman_response": "1"}, "out of range"),
        ({"diffie_hellman_response": f"{Owner().prime - 1:x}"}, "out of range"),
        ({"live_session_token_expiration": "soon"}, "when the token ends"),
    ],
)
def test_an_answer_that_proves_nothing_is_refused(credentials: Credentials, change: Any, words: str) -> None:
    request = sign_token_request(credentials, URL, 1_795_539_600)
    shared = pow(4, request.exponent, Owner().prime)
    key = oauth1.live_session_token(shared, Owner().secret)
    answer = {
        "diffie_hellman_response": "4",
        "live_session_token_signature": oauth1.token_proof(key, Owner().consumer_key),
        "live_session_token_expiration": 1_795_626_000_000,
    }
    assert read_token(credentials, request, answer).key == key
    with pytest.raises(WrongAnswer, match=words):
        read_token(credentials, request, answer | change)


@pytest.mark.parametrize("header", ["Bearer x", 'OAuth a="1" b="2"', 'OAuth a="1", a="2"', "OAuth a=1"])
def test_a_header_that_is_none_is_told(header: str) -> None:
    assert oauth1.parse_authorization(header) is None
