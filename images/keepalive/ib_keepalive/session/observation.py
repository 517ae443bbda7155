"""What one probe of the gateway showed, told apart before anybody draws a conclusion from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ib_service import strict_json
from ib_service.http.headers import retry_after_s
from ib_service.logs import redact_text
from ibkr.session import AuthStatus


class Outcome(StrEnum):
    """How a probe ended."""

    FLAGS = "flags"  # the session's flags came back
    ALIVE = "alive"  # a good answer without flags
    SIGNED_OUT = "signed_out"
    NO_BRIDGE = "no_bridge"  # signed in, but IBKR has no brokerage session for it
    BUSY = "busy"  # 429: too many requests, says nothing about the session
    MAINTENANCE = "maintenance"
    UNAVAILABLE = "unavailable"  # 503
    BROKEN = "broken"  # another error, not JSON, cut short
    NO_RIGHTS = "no_rights"  # refused for lack of permission
    TIMEOUT = "timeout"
    REFUSED = "refused"  # no connection could be made
    SILENT = "silent"  # timeout, and the gateway's own pages do not answer either


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """``detail`` is one short phrase for people, without secrets; ``status`` is None when no answer arrived.

    ``sso_expires_s``, ``user_id`` and ``session_key`` (a digest) come with a tickle.
    """

    outcome: Outcome
    flags: AuthStatus | None = None
    detail: str = ""
    latency_ms: float | None = None
    sso_expires_s: float | None = None
    retry_after_s: float | None = None
    status: int | None = None
    user_id: int | None = None
    session_key: str | None = None


_LONGEST_MS = 10**9
_NO_BRIDGE = ("no bridge", "init session first", "no brokerage session")
# ssodh/init without ``compete`` while another session of the user is active.
_NEEDS_FORCE = "force compete"
_MAINTENANCE = ("maintenance", "scheduled downtime", "system is temporarily unavailable")
# A page with a form is the sign-in page, whatever else it speaks of.
_FORM = ("<form", 'type="password"')
_NO_SIGN_IN = frozenset({"no session", "not logged in", "no session found", "session not found"})
_NO_RIGHTS = ("permission", "not entitled", "not authorized", "no trading rights", "not allowed to trade")


def parse_response(status: int, headers: dict[str, str], content: bytes) -> tuple[ProbeResult, Any]:
    """What an answer means for the session, and its JSON body where it had a good one.

    ``headers`` have lower-case names.
    """
    text = content[:4096].decode("utf-8", "replace").lower()
    refused = _read_refusal(status, headers, text)
    if refused is not None:
        return refused, None
    try:
        body = strict_json.load_cleaned(content)
    except ValueError:
        return ProbeResult(Outcome.BROKEN, detail="IBKR's answer is not JSON"), None
    result = _read_body(body)
    return result, body if result.outcome in (Outcome.FLAGS, Outcome.ALIVE) else None


def _read_refusal(status: int, headers: dict[str, str], text: str) -> ProbeResult | None:
    if status == 429:
        return ProbeResult(
            Outcome.BUSY, detail="IBKR answers 429", retry_after_s=retry_after_s(headers.get("retry-after"))
        )
    if status in (301, 302, 303, 307, 308):
        return ProbeResult(Outcome.SIGNED_OUT, detail=f"IBKR redirects ({status}) to the sign-in page")
    if status == 401:
        return ProbeResult(Outcome.SIGNED_OUT, detail="IBKR answers 401")
    if status >= 400 and any(phrase in text for phrase in _NO_BRIDGE):
        return ProbeResult(Outcome.NO_BRIDGE, detail="IBKR says there is no brokerage session")
    if status >= 500 and any(phrase in text for phrase in _MAINTENANCE):
        return ProbeResult(Outcome.MAINTENANCE, detail=f"IBKR answers {status} and speaks of maintenance")
    if status == 503:
        return ProbeResult(Outcome.UNAVAILABLE, detail="IBKR answers 503")
    if status == 404 and text.startswith("access denied"):
        return ProbeResult(Outcome.BROKEN, detail="the gateway refuses this address (ips.allow in its conf.yaml)")
    if status == 403:
        return ProbeResult(Outcome.NO_RIGHTS, detail="IBKR answers 403")
    if status >= 400 and speaks_of_rights(text):
        return ProbeResult(Outcome.NO_RIGHTS, detail=f"IBKR answers {status} and speaks of permissions")
    if status != 200:
        return ProbeResult(Outcome.BROKEN, detail=f"IBKR answers {status}")
    if not text.strip():
        return ProbeResult(Outcome.BROKEN, detail="IBKR's answer is empty")
    if "html" in headers.get("content-type", "") or text.lstrip().startswith("<"):
        if any(phrase in text for phrase in _MAINTENANCE) and not any(part in text for part in _FORM):
            return ProbeResult(Outcome.MAINTENANCE, detail="IBKR shows a page that speaks of maintenance")
        return ProbeResult(Outcome.SIGNED_OUT, detail="IBKR answers with a web page")
    return None


def _read_body(body: Any) -> ProbeResult:
    if not isinstance(body, dict):
        return ProbeResult(Outcome.BROKEN, detail="IBKR's answer is not a JSON object")
    error = body.get("error")
    if isinstance(error, str) and error:
        if error.lower().strip(" .!") in _NO_SIGN_IN:
            return ProbeResult(Outcome.SIGNED_OUT, detail="IBKR says there is no session")
        if any(phrase in error.lower() for phrase in _NO_BRIDGE):
            return ProbeResult(Outcome.NO_BRIDGE, detail="IBKR says there is no brokerage session")
        if speaks_of_rights(error):
            return ProbeResult(Outcome.NO_RIGHTS, detail=f"IBKR says {_phrase(error)}")
        return ProbeResult(Outcome.BROKEN, detail=f"IBKR says {_phrase(error)}")
    expires = body.get("ssoExpires")
    sso_expires_s = expires / 1000 if isinstance(expires, int) and 0 <= expires < _LONGEST_MS else None
    bridge = body.get("iserver")
    flags = parse_flags(bridge.get("authStatus") if isinstance(bridge, dict) else body)
    user_id, key = body.get("userId"), body.get("session")
    return ProbeResult(
        Outcome.ALIVE if flags is None else Outcome.FLAGS,
        flags=flags,
        sso_expires_s=sso_expires_s,
        user_id=user_id if isinstance(user_id, int) else None,
        session_key=hashlib.sha256(key.encode("utf-8", "replace")).hexdigest() if isinstance(key, str) else None,
    )


def speaks_of_rights(text: str) -> bool:
    """Whether IBKR's words say that the user may not have what was asked for."""
    return any(phrase in text.lower() for phrase in _NO_RIGHTS)


def parse_flags(body: object) -> AuthStatus | None:
    """The flags of an auth/status object, or None where there are none. Absent ``connected`` counts as given."""
    if not isinstance(body, dict) or not isinstance(body.get("authenticated"), bool):
        return None
    established = body.get("established")
    fail = body.get("fail")
    message = body.get("message") or fail
    return AuthStatus(
        connected=body.get("connected", body["authenticated"]) is True,
        authenticated=body["authenticated"],
        competing=body.get("competing") is True or (isinstance(fail, str) and _NEEDS_FORCE in fail.lower()),
        established=established if isinstance(established, bool) else None,
        message=_phrase(message) if isinstance(message, str) and message else None,
    )


def _phrase(text: str) -> str:
    return redact_text(" ".join(text.split()))[:200]
