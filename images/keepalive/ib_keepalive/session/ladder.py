"""The ways of opening the brokerage session, tried one after the other: reports differ on which one IBKR takes.

A rung is one way with its own limit in time. The one that worked last comes first the next time.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from ib_keepalive.session.observation import Outcome, ProbeResult, speaks_of_rights
from ib_keepalive.session.poller import Poller
from ibkr.handshake import response_to

log = structlog.get_logger("ib_keepalive.session")

OPENING = "open_brokerage_session"
_INIT = "/iserver/auth/ssodh/init"
# The chain takes six requests; a person waits for it at a sign-in.
LIMITS_S = {"chain": 20.0, "documented": 15.0, "form": 15.0}
# How long an opening that was accepted gets to show an effect.
SETTLES_WITHIN_S = 6.0
_LOOK_S = 0.5
_PLAIN = (Outcome.FLAGS, Outcome.ALIVE)
# Another way would fare no better: nobody is signed in, too much was asked, or IBKR is down.
_FINAL = (Outcome.SIGNED_OUT, Outcome.BUSY, Outcome.MAINTENANCE, Outcome.SILENT)


@dataclass(slots=True)
class Identity:
    """What IBKR said of user and machine, which two of the ways need; it stays in memory."""

    user_name: str | None = None
    mac: str | None = None
    machine_id: str | None = None

    def learn(self, body: Any) -> None:
        """Take what an answer of auth/status, one/user or sso/validate tells."""
        if not isinstance(body, dict):
            return
        for key in ("USER_NAME", "username", "userName"):
            name = body.get(key)
            if isinstance(name, str) and name:
                self.user_name = name
        hardware = body.get("hardware_info") or body.get("HARDWARE_INFO")
        if isinstance(hardware, str) and hardware.count("|") == 1:
            self.machine_id, self.mac = hardware.split("|")

    def forget_user(self) -> None:
        self.user_name = None


@dataclass(frozen=True, slots=True)
class Opening:
    """``result``: the last answer, as a probe's. ``rung``: the way that opened the session, None when none did."""

    result: ProbeResult
    rung: str | None
    label: str


class Ladder:
    """``identity`` is filled by whoever reads IBKR's answers, and on demand by ``identify``.

    ``climbed`` counts each rung's end; ``rungs`` are those that can be.
    """

    def __init__(
        self,
        poller: Poller,
        identity: Identity,
        *,
        identify: Callable[[], Awaitable[object]],
        climbed: Callable[[str, str], None],
        rungs: Iterable[str] = LIMITS_S,
    ) -> None:
        self._poller = poller
        self._identity = identity
        self._identify = identify
        self._climbed = climbed
        ways: dict[str, Callable[[bool], Awaitable[ProbeResult | None]]] = {
            "chain": self._chain,
            "documented": self._documented,
            "form": self._form,
        }
        self._rungs = {rung: ways[rung] for rung in rungs}

    async def climb(self, first: str | None, *, compete: bool) -> Opening:
        """Open the session by the first way that shows an effect; ``first`` is tried before the others."""
        last = ProbeResult(Outcome.BROKEN, detail="no way of opening could be tried", status=0)
        label = "refused"
        for rung in sorted(self._rungs, key=lambda name: name != first):
            result = await self._try(rung, compete)
            if result is None:
                self._climbed(rung, "skipped")
                continue
            if label != "accepted" or label_of(result) != "refused":
                # One that was taken without effect says more than one that was refused.
                last, label = result, label_of(result)
            self._climbed(rung, label_of(result))
            log.info("tried to open the brokerage session", rung=rung, result=label_of(result), detail=result.detail)
            if label == "opened":
                return Opening(result, rung, label)
            # Told to take the session over, this way did not carry the wish; the next one may.
            is_taken = label == "competing" and not compete
            if label == "unsure" or is_taken or result.outcome in _FINAL or _is_offline(result):
                break
        return Opening(last, None, label)

    async def _try(self, rung: str, compete: bool) -> ProbeResult | None:
        try:
            async with asyncio.timeout(LIMITS_S[rung]):
                result = await self._rungs[rung](compete)
                if result is None:
                    return None
                return result if _is_offline(result) else await self._settle(result, compete)
        except TimeoutError:
            return ProbeResult(Outcome.TIMEOUT, detail=f"no end within {LIMITS_S[rung]:g} s")

    async def _settle(self, result: ProbeResult, compete: bool) -> ProbeResult:
        """What auth/status says once an accepted opening shows its effect, or does not."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + SETTLES_WITHIN_S
        while label_of(result) in ("accepted", "competing") and loop.time() < ends:
            await asyncio.sleep(_LOOK_S)
            seen, body = await self._poller.ask("get_auth_status")
            self._identity.learn(body)
            if seen.outcome is not Outcome.FLAGS:
                break
            result = seen
            if label_of(seen) == "competing" and not compete:
                break
        return result

    async def _chain(self, compete: bool) -> ProbeResult | None:
        """As IBKR's own program opens it at every sign-in, by a challenge."""
        if self._identity.user_name is None:
            self._identity.learn((await self._poller.send("read_user", "GET", "/one/user"))[1])
        if self._identity.user_name is None:
            await self._identify()
        if self._identity.user_name is None:
            return None
        result, body = await self._poller.send("begin_handshake", "GET", "/ssodh/init")
        if not isinstance(body, dict) or not body.get("success"):
            return _refused(result, "the chain's first step is refused")
        result, body = await self._poller.send("read_session_key", "GET", "/ssodh/st")
        key = body.get("st") if isinstance(body, dict) else None
        wish = {"username": self._identity.user_name, "machineId": self._machine_id(), "compete": compete}
        result, body = await self._poller.send(OPENING, "POST", _INIT, json=wish)
        challenge = body.get("challenge") if isinstance(body, dict) else None
        if challenge is None:
            return result
        try:
            answer = response_to(str(challenge), str(key))
        except ValueError:
            return _refused(replace(result, outcome=Outcome.BROKEN), "the challenge or the session key is no number")
        path = "/iserver/auth/ssodh/response"
        return (await self._poller.send("answer_challenge", "POST", path, json={"response": answer}))[0]

    async def _documented(self, compete: bool) -> ProbeResult | None:
        """As IBKR documents it."""
        return (await self._poller.ask(OPENING, {"publish": True, "compete": compete}))[0]

    async def _form(self, compete: bool) -> ProbeResult | None:
        """As a form, with what IBKR knows this machine by."""
        if self._identity.machine_id is None:
            await self._identify()
        if self._identity.mac is None or self._identity.machine_id is None:
            return None
        form = {
            "publish": "true",
            "compete": str(compete).lower(),
            "mac": self._identity.mac,
            "machineId": self._identity.machine_id,
        }
        return (await self._poller.send(OPENING, "POST", _INIT, data=form))[0]

    def _machine_id(self) -> str:
        return self._identity.machine_id or f"{uuid.getnode() & 0xFFFFFFFF:08x}"


def label_of(result: ProbeResult) -> str:
    """What became of an opening: opened, accepted (no effect yet), competing, no_rights, refused or unsure.

    ``unsure``: its answer is lost, and it may take effect later. The rest are the outcomes that say nothing of it.
    """
    flags = result.flags
    if result.outcome in _PLAIN:
        if flags is None or not flags.authenticated:
            if flags is not None and flags.competing:
                return "competing"
            return "no_rights" if flags is not None and speaks_of_rights(flags.message or "") else "accepted"
        return "opened"
    if result.outcome is Outcome.NO_RIGHTS:
        return "no_rights"
    if result.outcome in (Outcome.BROKEN, Outcome.UNAVAILABLE, Outcome.NO_BRIDGE):
        return "unsure" if result.status is None else "refused"
    if result.outcome in (Outcome.TIMEOUT, Outcome.SILENT, Outcome.REFUSED):
        return "unsure"
    return result.outcome.value


def _is_offline(result: ProbeResult) -> bool:
    return result.flags is not None and not result.flags.connected


def _refused(result: ProbeResult, detail: str) -> ProbeResult:
    """``result`` as a refusal, unless it says something plainer itself."""
    if result.outcome in _PLAIN:
        return replace(result, outcome=Outcome.BROKEN, detail=detail, flags=None)
    return result
