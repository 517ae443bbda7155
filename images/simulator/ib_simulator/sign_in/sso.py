"""IBKR's sign-in over HTTP: the paths under ``/sso/``."""

from __future__ import annotations

from urllib.parse import parse_qsl

from ib_simulator.network.http import Incoming, Reply, json_reply, page_reply, redirect
from ib_simulator.session.session import Session
from ib_simulator.sign_in import pages
from ib_simulator.sign_in.logins import Logins, cookies

AFTER_LOGIN = "https://www.interactivebrokers.com/portal"


def answer(incoming: Incoming, session: Session, logins: Logins, now: float, *, signed_in: bool) -> Reply:
    """``signed_in``: the request's cookies are those of the session."""
    match incoming.method, incoming.path:
        case (("GET" | "HEAD"), "/sso/Login"):
            return page_reply(pages.login())
        case "POST", "/sso/Login":
            form = dict(parse_qsl(incoming.body.decode("utf-8", "replace")))
            attempt = logins.begin(form.get("user_name", ""), form.get("password", ""), now)
            if attempt is None:
                return page_reply(pages.login("Invalid username password combination"))
            return _second_step(attempt, session, logins, now)
        case "GET", "/sso/SecondStep":
            return _second_step(incoming.query.get("id", ""), session, logins, now)
        case _, "/sso/Dispatcher":
            return redirect(AFTER_LOGIN) if signed_in else page_reply(pages.not_signed_in(), 401)
        case _, "/sso/ping" | "/sso/Authenticator":
            return json_reply({"RESULT": True}) if signed_in else Reply(401)
    return page_reply("Not Found", 404)


def _second_step(attempt: str, session: Session, logins: Logins, now: float) -> Reply:
    outcome = logins.outcome(attempt, now)
    if outcome == "waiting":
        return page_reply(pages.second_step(attempt))
    if outcome == "refused":
        return page_reply(pages.login("The login was not approved"))
    token = logins.token()
    session.sign_in(outcome, token, now)
    set_cookies = (
        (b"set-cookie", f"{name}={value}; Path=/".encode()) for name, value in cookies(token, outcome).items()
    )
    return redirect("/sso/Dispatcher", *set_cookies)
