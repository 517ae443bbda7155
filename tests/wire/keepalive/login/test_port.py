"""The login port: the landing page, and what passes to the gateway and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ib_keepalive.login.paths import SIGN_IN_PAGE
from ibkr.session import SessionState
from ibkr.wording import WORDS
from support.keepalive import GATEWAY, LOST, OPEN, TAKEN, FakeGateway, keeping

pytestmark = pytest.mark.looptime


class SignInPages(FakeGateway):
    """A gateway whose pages outside the API answer with ``page`` and note the requests."""

    def __init__(self, page: Any = None, says: Any = 401) -> None:
        super().__init__(says=says)
        self.page = page or httpx.Response(200, html="<html>IBKR</html>")
        self.seen: list[httpx.Request] = []

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/v1/"):
            return await super().answer(request)
        self.seen.append(request)
        if self.page == "silence":
            await asyncio.Event().wait()
        if isinstance(self.page, Exception):
            raise self.page
        return httpx.Response(self.page.status_code, headers=self.page.headers, stream=self.page.stream)


@pytest.mark.parametrize(
    ("says", "state"),
    [
        (401, SessionState.LOGIN_REQUIRED),
        (LOST, SessionState.REOPENING),
        (TAKEN, SessionState.COMPETING),
        (OPEN, SessionState.AUTHENTICATED),
        (httpx.Response(503, text="maintenance"), SessionState.MAINTENANCE),
        ("refuse", SessionState.UNREACHABLE),
        ("silence", SessionState.HUNG),
    ],
)
async def test_landing_page_says_the_state_in_words(says: Any, state: SessionState) -> None:
    async with keeping(FakeGateway(says=says)) as kept:
        await asyncio.sleep(45)
        page = await kept.browse.get("/")
        assert page.status_code == 200
        assert WORDS[state].title in page.text
        seen = (await kept.browse.get("/login-status")).json()
        assert (seen["state"], seen["title"]) == (state, WORDS[state].title)
        assert seen["offers_sign_in"] is WORDS[state].offers_sign_in


async def test_landing_page_needs_nothing_from_elsewhere() -> None:
    async with keeping() as kept:
        page = await kept.browse.get("/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http:" not in page.text
        assert "https:" not in page.text
        assert f'href="{SIGN_IN_PAGE}"' in page.text


async def test_person_at_the_page_is_watched_closely_for_a_minute_only() -> None:
    async with keeping(FakeGateway(says=401)) as kept:
        await asyncio.sleep(120)
        await kept.browse.get("/")
        before = len(kept.gateway.times("/auth/status"))
        await asyncio.sleep(60)
        watched = len(kept.gateway.times("/auth/status")) - before
        assert watched >= 25
        await asyncio.sleep(60)
        assert len(kept.gateway.times("/auth/status")) - before - watched <= 6


async def test_visits_do_not_shorten_a_penalty() -> None:
    async with keeping(FakeGateway(says=401)) as kept:
        await asyncio.sleep(120)
        kept.gateway.says = httpx.Response(429, headers={"retry-after": "600"})
        await asyncio.sleep(30)
        before = len(kept.gateway.calls)
        for _ in range(100):
            await kept.browse.get("/")
            await asyncio.sleep(3)
        assert len(kept.gateway.calls) == before


async def test_sign_in_page_passes_with_its_query() -> None:
    gateway = SignInPages(httpx.Response(200, html="<html>IBKR's page</html>", headers={"cache-control": "no-store"}))
    async with keeping(gateway) as kept:
        page = await kept.browse.get(SIGN_IN_PAGE)
        assert (page.status_code, page.text) == (200, "<html>IBKR's page</html>")
        assert page.headers["cache-control"] == "no-store"
        assert str(gateway.seen[0].url) == f"{GATEWAY}{SIGN_IN_PAGE}"


async def test_nothing_that_could_plant_a_session_or_name_the_caller_reaches_the_gateway() -> None:
    gateway = SignInPages()
    async with keeping(gateway, gateway_origin="https://localhost:5000") as kept:
        await kept.browse.post(
            "/sso/Authenticator",
            content=b"user=x",
            headers={
                "cookie": "XYZAB=planted",
                "authorization": "Bearer x",
                "x-forwarded-for": "1.2.3.4",
                "x-forwarded-host": "evil",
                "forwarded": "for=1.2.3.4",
                "x-real-ip": "1.2.3.4",
                "origin": "http://localhost:5443",
                "referer": "http://localhost:5443/sso/Login?x=1",
                "user-agent": "a browser",
                "content-type": "application/x-www-form-urlencoded",
            },
        )
        sent = gateway.seen[0]
        assert sent.content == b"user=x"
        assert sent.headers["content-length"] == "6"
        assert sent.headers["host"] == "gateway.test"
        assert sent.headers["origin"] == "https://localhost:5000"
        assert sent.headers["referer"] == "https://localhost:5000/sso/Login"
        assert sent.headers["user-agent"] == "a browser"
        gone = {"cookie", "authorization", "x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip"}
        assert gone.isdisjoint(sent.headers)


async def test_no_session_cookie_reaches_the_browser_and_none_goes_back() -> None:
    gateway = SignInPages(httpx.Response(200, text="x", headers={"set-cookie": "XYZAB=secret; Path=/"}))
    async with keeping(gateway) as kept:
        assert "set-cookie" not in (await kept.browse.get("/sso/Login")).headers
        await kept.browse.get("/sso/Login")
        assert "cookie" not in gateway.seen[1].headers


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://api.ibkr.com/sso/Login?a=b", "/sso/Login?a=b"),
        (f"{GATEWAY}/sso/Login", "/sso/Login"),
        ("/sso/Login", "/sso/Login"),
        ("https://www.interactivebrokers.com/en/home.php", "https://www.interactivebrokers.com/en/home.php"),
    ],
)
async def test_redirects_stay_on_this_port_where_they_belong(location: str, expected: str) -> None:
    async with keeping(SignInPages(httpx.Response(302, headers={"location": location}))) as kept:
        answer = await kept.browse.get("/sso/Login")
        assert (answer.status_code, answer.headers["location"]) == (302, expected)


async def test_end_of_the_sign_in_leads_back_to_the_landing_page_and_is_no_proof() -> None:
    gateway = SignInPages(httpx.Response(200, html="<p>Client login succeeds</p>"))
    async with keeping(gateway) as kept:
        await asyncio.sleep(60)
        answer = await kept.browse.post("/sso/Dispatcher")
        assert (answer.status_code, answer.headers["location"]) == (303, "/?signed-in")
        assert kept.state == "login_required"
        gateway.says = OPEN
        await asyncio.sleep(3)
        assert kept.state == "authenticated"


async def test_failed_end_of_the_sign_in_is_shown_as_it_is() -> None:
    async with keeping(SignInPages(httpx.Response(401, html="<p>wrong</p>"))) as kept:
        answer = await kept.browse.post("/sso/Dispatcher")
        assert (answer.status_code, answer.text) == (401, "<p>wrong</p>")


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ("silence", 504),
        (httpx.ConnectError("refused"), 502),
        (httpx.ReadError("reset"), 502),
        (httpx.ReadTimeout("late"), 504),
    ],
)
async def test_gateway_in_trouble_gives_an_honest_page_in_time(page: Any, status: int) -> None:
    async with keeping(SignInPages(page)) as kept:
        async with asyncio.timeout(31):
            answer = await kept.browse.get("/sso/Login")
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")
        assert 'href="/"' in answer.text


async def test_pages_that_hang_leave_no_slot_taken() -> None:
    gateway = SignInPages("silence")
    async with keeping(gateway) as kept:
        answers = await asyncio.gather(*(kept.browse.get("/sso/Login") for _ in range(12)))
        assert {answer.status_code for answer in answers} == {504}
        assert len(gateway.seen) == 4
        gateway.page = httpx.Response(200, text="back")
        assert (await kept.browse.get("/sso/Login")).text == "back"


async def test_answer_that_stops_half_way_breaks_off_instead_of_looking_complete() -> None:
    class Half(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"half a page"
            await asyncio.Event().wait()

    gateway = SignInPages(httpx.Response(200, stream=Half()))
    async with keeping(gateway) as kept:
        with pytest.raises(TimeoutError):
            await kept.browse.get("/sso/Login")
        gateway.page = httpx.Response(200, text="back")
        answers = await asyncio.gather(*(kept.browse.get("/sso/Login") for _ in range(8)))
        assert {answer.text for answer in answers} == {"back"}


async def test_form_larger_than_any_sign_in_is_refused() -> None:
    gateway = SignInPages()
    async with keeping(gateway) as kept:
        answer = await kept.browse.post("/sso/Login", content=b"x" * (1024 * 1024 + 1))
        assert answer.status_code == 413
        assert gateway.seen == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/api/tickle"),
        ("POST", "/v1/api/iserver/auth/ssodh/init"),
        ("GET", "/clear"),
        ("GET", "/sso/%2e%2e/clear"),
        ("GET", "//clear"),
        ("GET", "/status"),
        ("DELETE", "/sso/Login"),
        ("OPTIONS", "/sso/Login"),
        ("POST", "/"),
        ("POST", "/login-status"),
    ],
)
async def test_nothing_but_the_sign_in_is_passed_on(method: str, path: str) -> None:
    gateway = SignInPages()
    async with keeping(gateway) as kept:
        before = len(gateway.calls)
        assert (await kept.browse.request(method, f"http://localhost:5443{path}")).status_code == 404
        assert gateway.seen == []
        assert len(gateway.calls) == before


@pytest.mark.parametrize("host", ["localhost:5443", "127.0.0.1:1", "[::1]:5443", "login.example"])
async def test_loopback_and_listed_names_are_served(host: str) -> None:
    async with keeping(login_names="login.example") as kept:
        for path in ("/", "/login-status"):
            assert (await kept.browse.get(path, headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "10.1.2.3", "localhost.evil.example", ""])
async def test_other_hosts_are_refused(host: str) -> None:
    gateway = SignInPages()
    async with keeping(gateway) as kept:
        for path in ("/", "/login-status", "/sso/Login"):
            assert (await kept.browse.get(path, headers={"host": host})).status_code == 403
        assert gateway.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ],
)
async def test_other_web_pages_cannot_post_here(headers: dict[str, str]) -> None:
    gateway = SignInPages()
    async with keeping(gateway) as kept:
        assert (await kept.browse.post("/sso/Dispatcher", headers=headers)).status_code == 403
        assert gateway.seen == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_other_web_pages_may_link_to_the_landing_page_only(site: str) -> None:
    gateway = SignInPages()
    async with keeping(gateway) as kept:
        link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
        assert (await kept.browse.get("/", headers=link)).status_code == 200
        led = await kept.browse.get("/sso/SecondStep?id=theirs", headers=link)
        assert (led.status_code, led.headers["location"]) == (303, "/")
        load = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
        assert (await kept.browse.get("/sso/Login", headers=load)).status_code == 403
        assert gateway.seen == []


async def test_a_header_that_no_browser_sends_is_not_passed_on() -> None:
    gateway = SignInPages()
    async with keeping(gateway) as kept:
        answer = await kept.browse.get("/sso/Login", headers={b"x-odd": b"\xff\xfe", b"accept-language": b"de"})
        assert answer.status_code == 200
    assert "x-odd" not in gateway.seen[0].headers
    assert gateway.seen[0].headers["accept-language"] == "de"


async def test_a_gateway_that_answers_with_no_status_there_is_is_said_on_a_page() -> None:
    async with keeping(SignInPages(httpx.Response(999))) as kept:
        answer = await kept.browse.get("/sso/Login")
        assert answer.status_code == 502
        assert "999" in answer.text


async def test_a_browser_that_leaves_takes_no_slot_any_longer() -> None:
    gateway = SignInPages("silence")
    async with keeping(gateway) as kept:
        for _ in range(12):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await _leaving(kept.keepalive.login, after=0.5)
        gateway.page = httpx.Response(200, text="back")
        async with asyncio.timeout(5):
            assert (await kept.browse.get("/sso/Login")).text == "back"


async def _leaving(app: Any, after: float) -> None:
    """A request whose browser goes away ``after`` so many seconds; TimeoutError says that nothing was sent to it."""
    messages = iter([{"type": "http.request", "body": b""}])

    async def receive() -> Any:
        for message in messages:
            return message
        await asyncio.sleep(after)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    path = "/sso/Login"
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    await app(scope | {"headers": [(b"host", b"localhost")]}, receive, send)
    raise TimeoutError
