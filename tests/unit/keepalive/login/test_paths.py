"""Which paths the login port passes on."""

from __future__ import annotations

import pytest

from ib_keepalive.login.paths import SIGN_IN_ENDS, SIGN_IN_PAGE, is_sign_in_path


@pytest.mark.parametrize(
    "path",
    [
        SIGN_IN_PAGE.partition("?")[0],
        SIGN_IN_ENDS,
        "/sso/Authenticator",
        "/sso/lib/jquery-3.6.0.min.js",
        "/sso/images/logo@2x.png",
        "/css/login.css",
        "/css2/a.css",
        "/scripts/a/b/c.js",
        "/stylesheets/x.css",
        "/stylesheet/x.css",
        "/images/a.svg",
        "/fonts/Inter.woff2",
        "/portal.proxy/v1/gstat/bulletins",
    ],
)
def test_pages_of_the_sign_in_pass(path: str) -> None:
    assert is_sign_in_path(path.encode())


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/sso",
        "/sso/",
        "//sso/Login",
        "/sso//Login",
        "/sso/./Login",
        "/sso/../v1/api/iserver/account",
        "/sso/..",
        "/sso/%2e%2e/v1/api/tickle",
        "/sso/Login%00",
        "/sso/Login;x=1",
        "/sso\\Login",
        "/SSO/Login",
        "/ssox/Login",
        "/clear",
        "/%63lear",
        "/status",
        "/demo/index.html",
        "/v1/api/tickle",
        "/v1/api/sso/validate",
        "/v1/portal/sso/validate",
        "/v1/sso/validate",
        "/v1/api/iserver/reauthenticate",
        "/css/../v1/api/logout",
        "/portal.proxy/v1/gstat/bulletins/x",
        "/images/" + "a" * 2000,
        "/sso/Login\n",
        "/sso/é",
        "",
    ],
)
def test_everything_else_does_not(path: str) -> None:
    assert not is_sign_in_path(path.encode())
