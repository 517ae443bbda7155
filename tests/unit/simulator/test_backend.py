"""IBKR behind the real gateway program: the login chain as that program asks it, in process."""

import hashlib

import httpx
import pytest

from ib_simulator.app import Simulator
from ibkr import handshake
from support.serve import InProcess

OWN = {"user-agent": "ClientPortalGW/1"}


def gateway_program(simulator: Simulator) -> httpx.AsyncClient:
    """A client that keeps cookies, as the gateway does."""
    return httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://api.ibkr.com")


async def sign_in(client: httpx.AsyncClient, user: str = "robin-paper", password: str = "paper") -> None:
    answer = await client.post("/sso/Login", data={"user_name": user, "password": password})
    assert answer.headers["location"] == "/sso/Dispatcher"
    assert set(answer.cookies) == {"XYZAB", "XYZAB_AM.LOGIN", "USERID"}


def test_the_challenge_is_answered_with_the_digest_of_both_numbers():
    assert handshake.response_to("0abc", "00de") == hashlib.sha1(b"\x0a\xbc\xde").hexdigest()
    assert handshake.response_to("ab", "cd") == hashlib.sha1(b"\xab\xcd").hexdigest()
    assert handshake.answers(handshake.response_to("ab", "cd").lstrip("0"), "ab", "cd")
    assert not handshake.answers(None, "ab", "cd")


@pytest.mark.parametrize("prefix", ["/v1/api", "/v1/portal"])
async def test_the_gateways_login_chain_opens_the_brokerage_session(prefix: str):
    simulator = Simulator(role="backend", second_step="none", limits=False)
    async with gateway_program(simulator) as client:
        assert (await client.get(f"{prefix}/sso/validate?gw=1", headers=OWN)).status_code == 401
        assert (await client.get("/sso/Dispatcher")).status_code == 401
        await sign_in(client)
        assert (await client.get("/sso/Dispatcher")).status_code == 302
        client.headers.update(OWN)
        who = (await client.get(f"{prefix}/sso/validate?gw=1")).json()
        assert (who["USER_NAME"], who["RESULT"], who["LOGIN_TYPE"]) == ("robin-paper", True, 2)
        assert (await client.get(f"{prefix}/one/user")).json() == {"username": "robin-paper"}
        assert (await client.get(f"{prefix}/ssodh/init")).json() == {"success": True}
        key = (await client.get(f"{prefix}/ssodh/st")).json()["st"]
        assert (await client.get("/sso/Authenticator?ACTION=PUBLISH_TST&RESP_TYPE=JSON")).status_code == 200
        assert (await client.get("/sso/ping")).status_code == 200
        status = (await client.get(f"{prefix}/iserver/auth/status")).json()
        assert (status["authenticated"], status["competing"]) == (False, False)
        init = {"username": "robin-paper", "machineId": "x", "compete": True}
        challenge = (await client.post(f"{prefix}/iserver/auth/ssodh/init", json=init)).json()["challenge"]
        answered = await client.post(
            f"{prefix}/iserver/auth/ssodh/response", json={"response": handshake.response_to(challenge, key)}
        )
        assert answered.json()["authenticated"] is True
        assert (await client.get(f"{prefix}/iserver/accounts")).status_code == 200
        tickle = (await client.get(f"{prefix}/tickle")).json()
        assert tickle["iserver"]["authStatus"]["authenticated"] is True
        again = (await client.post(f"{prefix}/iserver/auth/ssodh/init", json=init)).json()
        assert again["authenticated"] is True


@pytest.mark.parametrize("body", [{"response": "00"}, {}, []])
async def test_a_wrong_response_opens_nothing_and_spends_the_challenge(body: object):
    simulator = Simulator(role="backend", second_step="none", limits=False)
    async with gateway_program(simulator) as client:
        await sign_in(client)
        client.headers.update(OWN)
        key = (await client.get("/v1/api/ssodh/st")).json()["st"]
        challenge = (await client.post("/v1/api/iserver/auth/ssodh/init", json={"username": "robin-paper"})).json()[
            "challenge"
        ]
        assert "error" in (await client.post("/v1/api/iserver/auth/ssodh/response", json=body)).json()
        right = {"response": handshake.response_to(challenge, key)}
        assert "error" in (await client.post("/v1/api/iserver/auth/ssodh/response", json=right)).json()
        assert (await client.get("/v1/api/iserver/auth/status")).json()["authenticated"] is False


async def test_the_live_user_presents_itself_as_live():
    simulator = Simulator(role="backend", second_step="none", limits=False)
    async with gateway_program(simulator) as client:
        await sign_in(client, "robin-live", "live")
        assert (await client.get("/v1/api/sso/validate")).json()["loginType"] == 1
        simulator.do("sign-in", user="live")
        client.cookies.set("XYZAB", simulator.session.token)
        assert (await client.get("/v1/api/iserver/accounts")).json()["isPaper"] is False


async def test_foreign_cookies_are_no_sign_in():
    simulator = Simulator(signed_in="paper", role="backend")
    async with gateway_program(simulator) as client:
        client.cookies.set("XYZAB", "0" * 32)
        assert (await client.get("/v1/api/tickle")).status_code == 401
        assert (await client.get("/sso/ping")).status_code == 401


async def test_ssodh_init_of_a_client_wants_publish():
    simulator = Simulator(signed_in="paper", limits=False)
    async with httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://gateway/v1/api") as client:
        for body in ({}, {"publish": False, "compete": True}, []):
            refused = await client.post("/iserver/auth/ssodh/init", json=body)
            assert refused.status_code == 500


async def test_the_gateways_own_calls_do_not_count_against_the_limits():
    simulator = Simulator(role="backend", second_step="none")
    async with gateway_program(simulator) as client:
        await sign_in(client)
        for _ in range(20):
            assert (await client.get("/v1/api/tickle", headers=OWN)).status_code == 200
        assert simulator.limits.refused == 0


async def test_unknown_paths_are_not_found():
    simulator = Simulator(role="backend")
    async with gateway_program(simulator) as client:
        for path in ("/", "/v2/api/tickle", "/sso/Moon"):
            assert (await client.get(path)).status_code == 404


async def test_malformed_json_is_a_bad_request():
    simulator = Simulator(signed_in="paper", limits=False)
    async with httpx.AsyncClient(transport=InProcess(simulator.app), base_url="http://gateway/v1/api") as client:
        refused = await client.post("/pa/performance", content=b"{")
        assert (refused.status_code, refused.json()["statusCode"]) == (400, 400)


async def test_the_same_seed_gives_the_same_secrets():
    def session(seed: int) -> tuple[str, str]:
        simulator = Simulator(seed, signed_in="paper")
        return simulator.session.token, simulator.session.socket_key

    assert session(3) == session(3)
    assert session(3) != session(4)
