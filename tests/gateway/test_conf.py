"""The configuration that the image gives IBKR's gateway program."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from gateway.program import IMAGE, render


def test_the_program_leaves_the_brokerage_session_to_the_keepalive() -> None:
    assert yaml.safe_load(render())["authDelay"] == 2**31 - 1


def test_nobody_but_loopback_is_admitted() -> None:
    conf = yaml.safe_load(render())
    # Without the second list the program admits everybody.
    assert conf["ips"] == {"allow": ["127.0.0.1"], "deny": []}
    assert conf["cors"]["origin.allowed"] == r"http://(localhost|127\.0\.0\.1):5000"
    assert "webApps" not in conf


@pytest.mark.parametrize(
    "wrong",
    [
        {"LISTEN_PORT": "5000; rm"},
        {"BACKEND": "http://api.ibkr.com"},
        {"BACKEND": "https://a'pi"},
        {"AUTH_DELAY_MS": "0"},
        {"AUTH_DELAY_MS": "2147483648"},
        {"AUTH_DELAY_MS": "99999999999999999999"},
    ],
)
def test_a_value_that_would_break_it_is_refused(wrong: dict[str, str]) -> None:
    done = subprocess.run([str(IMAGE / "render-conf")], env=wrong, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert next(iter(wrong)) in done.stderr
