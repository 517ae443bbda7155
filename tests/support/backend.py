"""How the keepalives of the tests reach IBKR: by the gateway, or by OAuth where ``pytest --backend oauth1`` says so."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from ib_simulator.app import Simulator
from ib_simulator.world.accounts import UserKey
from support.oauth1 import register

Backend = Literal["gateway", "oauth1"]
BACKENDS: tuple[Backend, ...] = ("gateway", "oauth1")


class Chosen:
    """``backend``: what tests take that do not say."""

    backend: Backend = "gateway"


@contextmanager
def reaching(simulator: Simulator, user: UserKey | None) -> Iterator[dict[str, Any]]:
    """Settings of a keepalive that reaches ``simulator`` (role backend) by ``user``'s keys; None: not yet known."""
    with tempfile.TemporaryDirectory() as folder:
        owner = register(simulator, user=user or "paper", active_in_s=0 if user else 10**9)
        yield {"backend": "oauth1", "oauth1_dir": owner.write(Path(folder))}


def gateway_only(reason: str) -> pytest.MarkDecorator:
    """For what is otherwise over OAuth."""
    return pytest.mark.skipif(Chosen.backend != "gateway", reason=reason)
