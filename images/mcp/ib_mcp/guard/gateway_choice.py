"""Which of several gateways a tool call names, and which of them answered it. Both belong to one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

named: ContextVar[str | None] = ContextVar("named", default=None)
"""The gateway that is to answer; None: whichever has the account, else the first usable one."""

answered_by: ContextVar[set[str] | None] = ContextVar("answered_by", default=None)
"""Names of the gateways that answered what is about no account."""


def take(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call without the gateway that they may name, which is the one of the call from now on."""
    left = dict(arguments)
    gateway = left.pop("gateway", None)
    named.set(None if gateway is None else str(gateway))
    return left


@contextmanager
def at(gateway: str | None) -> Iterator[None]:
    """What is asked in here is asked of this gateway; None: of any, whichever the present call names."""
    mark = named.set(gateway)
    try:
        yield
    finally:
        named.reset(mark)


@contextmanager
def collected() -> Iterator[set[str]]:
    """The names of the gateways that answer in here, which are not those of the present call alone."""
    names: set[str] = set()
    mark = answered_by.set(names)
    try:
        yield names
    finally:
        answered_by.reset(mark)


def note(names: Iterable[str]) -> None:
    """These answered the present call."""
    noted = answered_by.get()
    if noted is not None:
        noted.update(names)
