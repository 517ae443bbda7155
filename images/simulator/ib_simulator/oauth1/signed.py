"""Requests that are signed by OAuth 1.0a: checked as IBKR may check them, and refused with its 401.

A request may be signed over its URL with or without the query, as clients in use do either.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from email.utils import formatdate
from random import Random

from ib_simulator.call import Answer
from ib_simulator.network.http import Incoming, Reply, json_reply
from ib_simulator.oauth1.consumers import Consumer, Consumers
from ib_simulator.session.session import Session
from ib_simulator.sign_in.logins import Logins
from ibkr import oauth1
from ibkr.dh_parameters import GENERATOR

LIFE_S = 24 * 3600.0
SKEW_S = 30.0
_IBKR = "https://api.ibkr.com"
# tickle answers without these over OAuth.
_NOT_TOLD = ("ssoExpires", "collission", "userId")


class _Refused(Exception):
    """The request is not taken; the message is IBKR's."""


@dataclass(slots=True)
class _LiveToken:
    """``sign_in`` is the session that came with it."""

    key: bytes
    expires_at: float
    sign_in: str


class SignedRequests:
    """Live tokens by access token, and the nonces that were seen; ``life_s`` and ``skew_s`` are seconds."""

    def __init__(self, seed: int, logins: Logins) -> None:
        self.consumers = Consumers(seed)
        self.life_s, self.skew_s = LIFE_S, SKEW_S
        self._random = Random(f"live session token {seed}")
        self._logins = logins
        self._tokens: dict[str, _LiveToken] = {}
        self._nonces: dict[tuple[str, str], float] = {}

    def issue(self, incoming: Incoming, session: Session, now: float) -> Reply:
        """Answer a token request; a good one is a sign-in, whose brokerage session has to be opened."""
        # By this a client sees how far its clock is off.
        date = ((b"date", formatdate(now, usegmt=True).encode()),)
        try:
            parameters, consumer = self._admit(incoming, now, oauth1.RSA_SHA256)
            if incoming.method != "POST":
                raise _Refused("method not allowed")
            theirs = int(parameters.get("diffie_hellman_challenge", ""), 16)
            if not 1 < theirs < consumer.prime - 1:
                raise _Refused("invalid challenge")
            self._check_rsa(incoming, parameters, consumer)
        except (_Refused, ValueError) as error:
            return _refusal(str(error) if isinstance(error, _Refused) else "invalid challenge", *date)
        exponent = self._random.getrandbits(256)
        key = oauth1.live_session_token(pow(theirs, exponent, consumer.prime), consumer.secret)
        session.sign_in(consumer.user, self._logins.token(), now)
        self._tokens[consumer.access_token] = _LiveToken(key, now + self.life_s, session.token)
        reply = json_reply(
            {
                "diffie_hellman_response": f"{pow(GENERATOR, exponent, consumer.prime):x}",
                "live_session_token_signature": oauth1.token_proof(key, consumer.key),
                "live_session_token_expiration": round((now + self.life_s) * 1000),
            }
        )
        reply.headers = date
        return reply

    def refuse(self, incoming: Incoming, session: Session, now: float) -> Reply | None:
        """The refusal of a signed request, None when it is good."""
        try:
            parameters, consumer = self._admit(incoming, now, oauth1.HMAC_SHA256)
            token = self._tokens.get(consumer.access_token)
            if token is None or now >= token.expires_at or session.user is None or token.sign_in != session.token:
                raise _Refused("invalid or expired live session token")
            signature = parameters.get("oauth_signature", "")
            texts = _texts(incoming, parameters)
            if not any(hmac.compare_digest(oauth1.hmac_sha256(token.key, text), signature) for text in texts):
                raise _Refused("invalid signature")
        except _Refused as error:
            return _refusal(str(error))
        return None

    def _admit(self, incoming: Incoming, now: float, method: str) -> tuple[dict[str, str], Consumer]:
        header = incoming.headers.get(b"authorization", b"").decode("latin-1")
        parameters = oauth1.parse_authorization(header)
        if parameters is None:
            raise _Refused("no OAuth header")
        consumer = self.consumers.find(parameters.get("oauth_consumer_key", ""), now)
        if consumer is None or parameters.get("realm") != "limited_poa":
            raise _Refused("invalid consumer")
        if parameters.get("oauth_token") != consumer.access_token:
            raise _Refused("invalid access token")
        if parameters.get("oauth_signature_method") != method:
            raise _Refused("invalid signature method")
        stamp, nonce = parameters.get("oauth_timestamp", ""), parameters.get("oauth_nonce", "")
        if not stamp.isdecimal() or abs(int(stamp) - now) > self.skew_s:
            raise _Refused("invalid timestamp")
        self._nonces = {seen: at for seen, at in self._nonces.items() if at > now - 2 * self.skew_s}
        if not nonce or (consumer.key, nonce) in self._nonces:
            raise _Refused("invalid nonce")
        self._nonces[consumer.key, nonce] = now
        return parameters, consumer

    def _check_rsa(self, incoming: Incoming, parameters: dict[str, str], consumer: Consumer) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            signature = base64.b64decode(parameters.get("oauth_signature", ""), validate=True)
        except binascii.Error:
            raise _Refused("invalid signature") from None
        for text in _texts(incoming, parameters):
            try:
                consumer.signature_key.verify(signature, (consumer.secret.hex() + text).encode(), PKCS1v15(), SHA256())
            except InvalidSignature:
                continue
            return
        raise _Refused("invalid signature")


def over_oauth(operation: str, answer: Answer) -> Answer:
    """What becomes of an answer about the session for somebody who signs requests."""
    if operation == "validate_sign_in":
        return Answer({"error": "unauthorized", "statusCode": 401}, 401)
    if operation == "tickle" and isinstance(answer.body, dict):
        return Answer({name: value for name, value in answer.body.items() if name not in _NOT_TOLD}, answer.status)
    return answer


def is_signed(incoming: Incoming) -> bool:
    return incoming.headers.get(b"authorization", b"")[:6].lower() == b"oauth "


def _texts(incoming: Incoming, parameters: dict[str, str]) -> list[str]:
    signed = {name: value for name, value in parameters.items() if name not in ("realm", "oauth_signature")}
    host = incoming.headers.get(b"host", b"").decode("latin-1")
    scheme = incoming.origin.partition(":")[0]
    query = f"?{incoming.query_string.decode('latin-1')}" if incoming.query_string else None
    bases = dict.fromkeys((_IBKR, incoming.origin, f"{scheme}://{host}"))
    paths = [incoming.path, *([incoming.path + query] if query else [])]
    return [oauth1.base_string(incoming.method, base + path, signed) for base in bases for path in paths]


def _refusal(why: str, *headers: tuple[bytes, bytes]) -> Reply:
    reply = json_reply({"error": f"id: 39687, error: {why}", "statusCode": 401}, 401)
    reply.headers = headers
    return reply
