"""What checking an agent's token costs: one that was given, one of the folder, one of OAuth in a file, a provider's.

``python -m tests.bench --only token-check``. Of 20 named tokens, 200 grants and an RSA key, in this process.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from ib_mcp.auth.issuer import Issuer, IssuerKeys, People
from ib_mcp.auth.scopes import READ
from ib_mcp.auth.token_folder import TokenFolder
from ib_mcp.auth.tokens import digest_of
from ib_mcp.auth.verifier import StaticTokens
from ib_mcp.oauth.place import Place
from ib_mcp.oauth.provider import OwnerOAuth
from ib_mcp.oauth.store import Consent, Store, in_file
from tests.bench.figures import Figure

BUDGET_MS = 0.2
_GRANTS, _TOKENS = 200, 20
_CHECKS = 3000
_FAR_S = 1e6
_ISSUER, _BASE = "https://id.example", "https://ibkr.example.net"


async def measure() -> list[Figure]:
    """The median of each, of which the slowest counts."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = _folder(Path(scratch))
        store = in_file(Path(scratch, "oauth.db"), time.time)
        await _fill(store)
        key = RSAKey.generate_key(parameters={"kid": "one"})
        tokens = StaticTokens("token-of-the-owner name=owner", TokenFolder(folder))
        bearer = OwnerOAuth(Place(_BASE, (READ,)), store, tokens, _issuer(key))
        shown = {
            "given": "token-of-the-owner",
            "of the folder": "token-of-agent-007",
            "of OAuth": "access-7",
            "of a provider": _signed(key),
        }
        found = {name: await _median_ms(bearer, token) for name, token in shown.items()}
        await store.close()
    note = ", ".join(f"{name} {value * 1000:.0f} µs" for name, value in found.items())
    return [Figure("a token checked, median of the slowest kind", max(found.values()), BUDGET_MS, " ms", note=note)]


def _folder(scratch: Path) -> Path:
    (folder := scratch / "tokens").mkdir()
    for number in range(_TOKENS):
        (folder / f"agent-{number}").write_text(f"sha256:{digest_of(f'token-of-agent-{number:03}').hex()}")
    return folder


async def _fill(store: Store) -> None:
    ends = time.time() + _FAR_S
    for number in range(_GRANTS):
        grant = Consent(f"grant-{number}", f"agent-{number}", "client", (READ,), None, ends)
        await store.add_grant(grant, f"code-{number}", {}, 60)
        await store.issue(grant.id, (f"refresh-{number}", ends), (f"access-{number}", ends), [READ])


def _issuer(key: RSAKey) -> Issuer:
    async def fetch(url: str) -> Any:
        if url.endswith("configuration"):
            return {"issuer": _ISSUER, "jwks_uri": f"{_ISSUER}/keys"}
        return KeySet([key]).as_dict(private=False)

    keys = IssuerKeys(_ISSUER, fetch, time.time, time.monotonic)
    return Issuer(keys, [f"{_BASE}/mcp"], People(frozenset({"robin"})))


def _signed(key: RSAKey) -> str:
    claims = {"iss": _ISSUER, "aud": f"{_BASE}/mcp", "sub": "robin", "exp": time.time() + _FAR_S}
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)


async def _median_ms(bearer: OwnerOAuth, token: str) -> float:
    times = []
    for _ in range(_CHECKS):
        began = time.perf_counter()
        granted = await bearer.verify_token(token)
        times.append(time.perf_counter() - began)
        assert granted is not None
    return statistics.median(times) * 1000
