"""Logs: one JSON object a line, without secrets or account data."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_service.logs import redact, redact_text

accounts = st.from_regex(r"(U|DU|DF|F|DI|I)[0-9]{6,9}", fullmatch=True)
secrets = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~+/", min_size=12, max_size=64)
around_accounts = st.sampled_from(
    [
        "GET /v1/api/portfolio/{}/meta",
        "/iserver/account/{}/orders/whatif",
        "%2F{}%2F",
        "account {} is not yours",
        '{{"{}.Core": {{"upl": 1}}}}',
        "acct_{}",
        "{}",
        "['{}', 'All']",
    ]
)
around_secrets = st.sampled_from(
    [
        "Authorization: Bearer {}",
        "authorization=Bearer {}",
        "bearer {}",
        'Cookie: x-sess-uuid={}; api={{"session":"abc"}}',
        "Set-Cookie: XYZAB={}; Path=/; Secure",
        "XYZAB_AM.LOGIN={}; web=1",
        "XYZAB={}",
        "JSESSIONID={}",
        "USERID={}",
        'api={{"session":"{}"}}',
        '{{"session":"{}","ssoExpires":460000}}',
        "{{'session': '{}'}}",
        "https://localhost:5000/x?token={}&conid=1",
        '{{"guard_token": "{}"}}',
        "password={}",
        "token: {}",
        "apikey={}",
        "https://example.com/x?api_key={}&a=b",
        "x-api-key: {}",
        "X-API-Key={}",
        '{{"apiKey": "{}"}}',
        "https://hooks.slack.com/services/T0/B0/{}",
        "https://discord.com/api/webhooks/1/{}",
        "https://api.telegram.org/bot12345:{}/sendMessage",
        "https://me.webhook.office.com/webhookb2/{}",
        "http://ha.local:8123/api/webhook/{} answers 404",
        "https://ntfy.sh/{}",
        "cannot reach tgram://{}",
        "slack://a/b/{}",
        "mailto://me:{}@mail.example",
    ]
)


@given(around_accounts, accounts)
def test_no_account_number_is_left_in_a_text(template: str, account: str) -> None:
    assert account not in redact_text(template.format(account))


@given(st.sampled_from(["/portfolio/{}/meta", "/iserver/account/{}/orders"]), accounts)
def test_no_account_number_is_left_in_a_path_in_lower_case(template: str, account: str) -> None:
    assert account.lower() not in redact_text(template.format(account.lower()))


@given(around_secrets, secrets)
def test_no_token_or_cookie_is_left_in_a_text(template: str, secret: str) -> None:
    assert secret not in redact_text(template.format(secret))


@given(
    st.sampled_from(
        [
            "https://me:{}@example.com/x",
            "connecting to http://:{}@127.0.0.1:5000",
            "postgres://me:{}@db/x",
            "'https://me:{}@example.com'",
        ]
    ),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.~+%!$&*", min_size=8, max_size=40),
)
def test_no_password_is_left_in_an_address(template: str, password: str) -> None:
    assert password not in redact_text(template.format(password))


@given(st.text())
def test_redacting_never_fails_and_redacting_again_changes_nothing(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "session state changed",
        "session: reopening",
        "GET /iserver/marketdata/snapshot?conids=265598,8314&fields=31,84,86 answered 200 in 12 ms",
        "2026-11-22T12:30:45.123456Z",
        "order question o10153 was answered",
        "ssoExpires 460000",
        "http://127.0.0.1:8800/mcp",
        "https://localhost:5000/v1/api/tickle answered 200",
        "read ibkr://session",
        "https://github.com/example/x@main and me@example.com",
        "the webhook answered 404",
    ],
)
def test_ordinary_texts_stay_readable(text: str) -> None:
    assert redact_text(text) == text


@given(accounts, secrets)
def test_nothing_secret_is_left_in_an_event_however_deep(account: str, secret: str) -> None:
    class Holder:
        def __repr__(self) -> str:
            return f"Holder({account})"

    event = {
        "event": f"read {account}",
        "token": secret,
        "answer": {"session": secret, "accounts": [account], f"{account}.Core": {"upl": 1234.5, "nl": 98765.25}},
        "netLiquidation": 98765.25,
        "several": (account, {account}, frozenset([account])),
        "raised": ValueError(account),
        "raw": account.encode(),
        "thing": Holder(),
    }
    line = json.dumps(redact(None, "info", event))
    assert account not in line
    assert secret not in line
    assert "98765" not in line
    assert "1234.5" not in line


def test_numbers_flags_and_names_pass_unchanged() -> None:
    event = {"event": "answered", "status": 200, "seconds": 0.25, "ok": True, "operation": "list_trades", "login": None}
    assert redact(None, "info", dict(event)) == event


PROGRAM = """
import logging, structlog
from ib_service import logs
logs.configure()
log = structlog.get_logger("ib_part")
log.info("signed in as U1234567", token="s3cret-token", seconds=1.5)
logging.getLogger("library").warning("Cookie: api=%s for %s", "s3cret-token", "DU7654321")
logging.getLogger("httpx").info("GET http://x/portfolio/U1234567/meta")
log.debug("too much")
try:
    raise ValueError("account U1234567, bearer s3cret-token")
except ValueError:
    log.exception("it failed")
    logging.getLogger("library").exception("it failed too")
"""


def test_every_logger_of_a_process_writes_json_lines_to_stderr_without_secrets() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
    assert not any(secret in done.stderr for secret in ("U1234567", "DU7654321", "s3cret"))
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["logger"], line["level"]) for line in lines] == [
        ("ib_part", "info"),
        ("library", "warning"),
        ("ib_part", "error"),
        ("library", "error"),
    ]
    assert lines[0]["event"] == "signed in as [redacted]"
    assert lines[0]["seconds"] == 1.5
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert all("ValueError" in line["exception"] for line in lines[2:])
