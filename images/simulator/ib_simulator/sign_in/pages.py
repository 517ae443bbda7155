"""The pages of IBKR's sign-in, as small as a browser accepts: no script, no other file, relative addresses only."""

from __future__ import annotations

from html import escape

from ib_simulator.session.users import USERS

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{head}
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; padding: 0 1rem; color: #222 }}
label {{ display: block; margin: .8rem 0 }}
input {{ font: inherit; width: 100%; padding: .4rem; box-sizing: border-box }}
button {{ font: inherit; padding: .5rem 1.5rem }} .error {{ color: #a00 }} .note {{ color: #666; font-size: .9rem }}
</style></head><body>
<h1>{title}</h1>
{body}
<p class="note">This is a simulator: no account, no money, nothing leaves this machine.</p>
</body></html>
"""


def _page(title: str, body: str, head: str = "") -> str:
    return _PAGE.format(title=title, body=body, head=head)


def login(error: str = "") -> str:
    """The form; its fields are ``user_name`` and ``password``."""
    known = " or ".join(f"<b>{escape(user.name)}</b> / <b>{escape(user.password)}</b>" for user in USERS.values())
    return _page(
        "Simulated broker login",
        (f'<p class="error" role="alert">{escape(error)}</p>' if error else "")
        + '<form method="post" action="/sso/Login">'
        '<label>Username <input name="user_name" autocomplete="username" autofocus required></label>'
        '<label>Password <input name="password" type="password" autocomplete="current-password" required></label>'
        "<button>Login</button></form>"
        f'<p class="note">User and password: {known}.</p>',
    )


def second_step(attempt_id: str) -> str:
    """The page that waits for the phone, asking again every second."""
    again = f"/sso/SecondStep?id={escape(attempt_id)}"
    return _page(
        "Approve on your phone",
        "<p>A request was sent to your (pretend) phone. This page goes on by itself when it is approved.</p>"
        f'<p><a href="{again}">Check now</a></p>',
        f'<meta http-equiv="refresh" content="1; url={again}">',
    )


def maintenance() -> str:
    return _page("Service unavailable", "<p>The broker is under maintenance. Please try again later.</p>")


def not_signed_in() -> str:
    return _page("Not signed in", '<p>Please <a href="/sso/Login">sign in</a> first.</p>')
