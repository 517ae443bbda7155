"""Several gateways in commotion behind one router: whose answer is it, was it true, and who waited for whom.

Beside the troubles of each gateway its keepalive is gone, silent or started anew now and then, and agents give up.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlencode

import anyio
import httpx

from ib_mcp.auth import granted
from ib_mcp.auth.granted import EVERYTHING
from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import parse_json
from ib_mcp.guard import gateway_choice, router
from ib_mcp.guard.client import Reply, caller
from ib_mcp.settings import McpSettings
from ib_simulator.world.accounts import UserKey
from ibkr import catalogue
from ibkr.errors import IbError
from support.commotion import DEADLINES_S, INSTRUMENTS, PATIENT_S, STARVES_S, Findings
from support.placed_gateway import ALL_TROUBLES, MOST_WAIT_S, Placed, sent
from support.simulated import stocks_of
from support.troubled import USERS

# Two users, and one of them at two gateways.
GATEWAYS: dict[str, UserKey] = {"default": "paper", "live": "live", "second": "paper"}
_TOKEN = "token-of-tests"
_SYMBOLS = ("AAPL", "IBM", "MSFT", "SPY", "NVDA")
# After so long of peace a gateway's accounts and state are seen by everybody.
_SETTLES_S = 90.0
# A sign-in is heard of with the next question; so long its accounts may be missing.
_LISTED_WITHIN_S = 10.0
_SEEN_WITHIN_S = 60.0
# So long news of accounts that are known are waited for.
_NEWS_S = 0.6
# What a gateway in peace may refuse with; a short deadline may end before its answer.
_ALLOWED = frozenset({"pacing_limited"})


@dataclass(frozen=True)
class Question:
    """``account``: what it is about, None for nobody's; ``is_named``: whether the account is looked up by name before.

    ``gateway``: the one that is to answer.
    """

    operation: str
    account: str | None = None
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    gateway: str | None = None
    is_named: bool = False

    @property
    def address(self) -> str:
        path = catalogue.load()[self.operation].path.format(**self.path)
        return f"{path}?{urlencode(self.query)}" if self.query else path

    @property
    def is_prices(self) -> bool:
        return self.operation == "get_price_snapshot"


class GatewaysInCommotion:
    """All gateways, their router and the agents, for ``seconds`` of virtual time."""

    def __init__(self, seed: int, seconds: float) -> None:
        self._random = Random(seed)
        self._gateways = {name: Placed(self._random, name, user) for name, user in GATEWAYS.items()}
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + seconds
        self._instruments = stocks_of(self._gateways["default"].broker, INSTRUMENTS)
        self._conids: dict[str, int] = {}
        self.findings = Findings()

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """The transport: each request goes to the gateway of its host."""
        return await self._gateways[request.url.host.partition(".")[0]].way.handle_async_request(request)

    async def run(self, agents: int) -> Findings:
        first, *others = self._gateways
        given = McpSettings(
            guard_url=f"http://{first}.test",
            guard_token=_TOKEN,
            extra_guards=[{"name": name, "url": f"http://{name}.test", "token": _TOKEN} for name in others],
        )
        async with router.connect(given, _ByHost(self)) as guard:
            self._context = ToolContext.of(guard, given)
            troubles = [asyncio.create_task(self._trouble(each)) for each in self._gateways.values()]
            await asyncio.sleep(30)
            await asyncio.gather(*(self._agent(number) for number in range(agents)))
            # One left nothing behind when all of its requests ended with it.
            await asyncio.gather(*troubles)
        return self.findings

    # What happens to each gateway

    async def _trouble(self, gateway: Placed) -> None:
        await gateway.start()
        while self._loop.time() < self._ends - 60:
            await asyncio.sleep(self._random.uniform(60, 1200))
            trouble = self._random.choice(ALL_TROUBLES)
            self.findings.troubles[trouble] += 1
            await gateway.suffer(trouble)
        await asyncio.sleep(max(0.0, self._ends - self._loop.time()) + 180)
        for leak in gateway.leaks():
            self.findings.note(f"{gateway.name}: {leak}", most=60)
        await gateway.stop()
        gateway.forget()

    # What agents ask

    async def _agent(self, number: int) -> None:
        random = Random(self._random.random())
        deadline_s = DEADLINES_S[number % len(DEADLINES_S)]
        granted.current.set(EVERYTHING)
        caller.set(str(number))
        starving_since: float | None = None
        for _ in itertools.count():
            await asyncio.sleep(random.expovariate(1 / 20))
            if self._loop.time() >= self._ends:
                return
            if random.random() < 0.1:
                await self._look_around(random, deadline_s)
                continue
            question = self._question(random)
            asked_at = self._loop.time()
            error = await self._ask(question, deadline_s)
            if deadline_s < PATIENT_S or not self._in_peace(question, asked_at):
                continue
            starving_since = None if error is None else starving_since or asked_at
            if starving_since is not None and self._loop.time() - starving_since > STARVES_S:
                self.findings.note(f"{asked_at:.0f} agent {number} of {deadline_s} s starves: {question} {error}")
                starving_since = None

    def _question(self, random: Random) -> Question:
        gateway = random.choice(list(self._gateways.values()))
        account = random.choice(gateway.own if random.random() < 0.9 else gateway.accounts[random.choice(USERS)])
        conids = random.sample(self._instruments, random.choice((1, 1, 3, 10, 40)))
        place, is_named = {"accountId": account}, random.random() < 0.5
        chain = {"conid": "265598", "sectype": "OPT", "month": "DEC26"}
        history = {"conid": conids[0].partition("@")[0], "period": "1d", "bar": "1h"}
        prices = {"conids": ",".join(conids), "fields": "31,84,86"}
        return random.choice(
            (
                Question("list_positions", account, place | {"pageId": "0"}, is_named=is_named),
                Question("get_ledger", account, place, is_named=is_named),
                Question("get_portfolio_summary", account, place, is_named=is_named),
                Question("list_live_orders", account, is_named=is_named),
                Question("list_trades", account, is_named=is_named),
                Question("list_watchlists", query={"SC": "USER_WATCHLIST"}, gateway=gateway.name),
                Question("list_brokerage_accounts", gateway=gateway.name),
                Question("list_strikes", query=chain),
                Question("get_price_history", query=history),
                *[Question("get_price_snapshot", query=prices)] * 3,
            )
        )

    async def _ask(self, question: Question, deadline_s: float) -> IbError | None:
        asked_at, requests = self._loop.time(), []
        marks = sent.set(requests), gateway_choice.named.set(question.gateway)
        reply, error = None, None
        with gateway_choice.collected() as names:
            try:
                with anyio.fail_after(deadline_s):
                    if question.account is not None and question.is_named:
                        await self._context.accounts.resolve(question.account)
                    reply = await self._context.guard.call(
                        question.operation, account=question.account, path=question.path, query=question.query
                    )
            except TimeoutError:
                # As the middleware around tools says it.
                error = IbError("late")
                error.code = "upstream_timeout"
            except IbError as refused:
                error = refused
        sent.reset(marks[0])
        gateway_choice.named.reset(marks[1])
        if self._loop.time() - asked_at > deadline_s + 0.5:
            self._note(question, f"took {self._loop.time() - asked_at:.1f} s of {deadline_s} s")
        self._check_waiting(question, asked_at, requests)
        if reply is not None:
            self.findings.answers[question.operation] += 1
            self._check_reply(question, reply, names)
        elif error is not None:
            self.findings.refusals[error.code] += 1
            self._check_error(question, error, asked_at, deadline_s)
        return error

    async def _look_around(self, random: Random, deadline_s: float) -> None:
        """The list of accounts, or a look-up that is merged with others'."""
        asked_at = self._loop.time()
        try:
            with anyio.fail_after(deadline_s):
                if random.random() < 0.5:
                    self._check_list([str(row["accountId"]) for row in await self._context.accounts.all()], asked_at)
                else:
                    symbol = random.choice(_SYMBOLS)
                    conid = (await self._context.contracts.resolve(symbol)).conid
                    if self._conids.setdefault(symbol, conid) != conid:
                        self.findings.note(f"{asked_at:.0f} {symbol} was {self._conids[symbol]} and is {conid}")
                    if random.random() < 0.2:
                        # Like another replica, which has looked up nothing yet.
                        self._context = ToolContext.of(self._context.guard._guard, self._context.settings)
        except TimeoutError:
            self.findings.refusals["upstream_timeout"] += 1
        except IbError as error:
            self.findings.refusals[error.code] += 1
            self._check_error(Question("list_portfolio_accounts"), error, asked_at, deadline_s)

    # Whether it is true

    def _note(self, question: Question, what: str) -> None:
        states = {name: (each.user, round(each.calm_s), each.way.mode) for name, each in self._gateways.items()}
        self.findings.note(f"{self._loop.time():.1f} {question.operation} {question.account or ''}"
                           f"{question.gateway or ''}: {what} {states}")  # fmt: skip

    def _able(self, question: Question) -> Iterator[Placed]:
        """The gateways whose answer would be true."""
        for each in self._gateways.values():
            is_asked = question.gateway in (None, each.name)
            if is_asked and (question.account is None or question.account in each.own):
                yield each

    def _in_peace(self, question: Question, asked_at: float) -> bool:
        """Whether a gateway could have answered all the time."""
        needed_s = self._loop.time() - asked_at + _SETTLES_S
        return any(each.calm_s >= needed_s for each in self._able(question))

    def _check_reply(self, question: Question, reply: Reply, names: set[str]) -> None:
        since = self._loop.time() - reply.age_ms / 1000 - 0.001
        able = list(self._able(question))
        if question.account is None:
            if len(names) != 1:
                self._note(question, f"answered by {sorted(names)}")
            able = [each for each in able if each.name in names]
        if not any(self._is_true(question, reply, each, since) for each in able):
            self._note(question, f"foreign or older than it says ({reply.age_ms} ms): {str(reply.body)[:150]}")

    @staticmethod
    def _is_true(question: Question, reply: Reply, gateway: Placed, since: float) -> bool:
        if question.is_prices:
            return not any(gateway.priced(row, since) for row in reply.rows)
        told = gateway.recorded.told(question.address, since=since, sign_in=gateway.recorded.sign_ins)
        return any(reply.body == parse_json(content) for content in told) and not gateway.is_falsely_empty(
            question.address, reply.body
        )

    def _check_list(self, listed: list[str], asked_at: float) -> None:
        settled = [each for each in self._gateways.values() if each.calm_s >= _SETTLES_S]
        for each in settled:
            if missing := set(each.own) - set(listed):
                self._note(Question("accounts"), f"{missing} of {each.name} are missing in {listed}")
        if len(settled) == len(self._gateways) and (
            more := set(listed) - {account for each in settled for account in each.own}
        ):
            self._note(Question("accounts"), f"{more} are nobody's of {listed}")
        if len(set(listed)) < len(listed):
            self._note(Question("accounts"), f"twice in {listed}")

    def _check_error(self, question: Question, error: IbError, asked_at: float, deadline_s: float) -> None:
        able, now = list(self._able(question)), self._loop.time()
        said = f"{error.code} {error.message[:120]}"
        is_denied = error.code == "invalid_request" or "invalid" in error.message.lower()
        if is_denied and any(now - each.signed_in_at > _LISTED_WITHIN_S for each in able):
            self._note(question, f"its account is denied: {said}")
        others = [each for each in able if each.calm_s < now - asked_at + _SETTLES_S]
        is_excused = (error.code == "upstream_timeout" and deadline_s < PATIENT_S) or (
            # The one that was asked may have got into trouble a moment ago.
            error.code in ("upstream_timeout", "upstream_error") and others
        )
        if self._in_peace(question, asked_at) and error.code not in _ALLOWED and not is_excused:
            self._note(question, f"refused though a gateway could answer: {said}")
        seen = [
            each
            for each in able
            if each.signed_out_since is not None
            and asked_at - max(each.signed_out_since, each.signed_in_at) > _SEEN_WITHIN_S
        ]
        if (
            able
            and len(seen) == len(able)
            and (question.account is not None or question.gateway)
            and (error.code != "login_required" or (error.login not in [each.login for each in able]))
            and error.code not in _ALLOWED
            and not (error.code == "upstream_timeout" and deadline_s < PATIENT_S)
        ):
            self._note(question, f"no sign-in link of its gateway: {said} {error.login}")

    def _check_waiting(self, question: Question, asked_at: float, requests: list[tuple[str, str, float]]) -> None:
        """One gateway in trouble holds up questions to the others for three seconds, once in a spell."""
        if not self._in_peace(question, asked_at):
            return
        address = "/v1/api" + question.address.partition("?")[0]
        began = next((at for _, path, at in requests if path == address), self._loop.time())
        waited_s = began - asked_at
        if waited_s > MOST_WAIT_S:
            self._note(question, f"waited {waited_s:.2f} s before it was asked, {requests}")
        elif waited_s > _NEWS_S:
            in_trouble = [each for each in self._gateways.values() if each.calm_s < waited_s + _SETTLES_S]
            # It may have been any of them, so all of them count it.
            within = [each.note_wait(asked_at, began) for each in in_trouble]
            if not any(within):
                self._note(question, f"waited {waited_s:.2f} s again for one that is silent, {requests}")


class _ByHost(httpx.AsyncBaseTransport):
    def __init__(self, gateways: GatewaysInCommotion) -> None:
        self._gateways = gateways

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._gateways.handle(request)
