"""Those who asked for the session to be opened and wait for what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ibkr.errors import IbError


@dataclass(eq=False, slots=True)
class Asker:
    """``answer`` ends when the session was asked for, or with the IbError that says why not."""

    is_person: bool
    compete: bool
    answer: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Askers:
    """First come, first served."""

    def __init__(self) -> None:
        self._waiting: list[Asker] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, asker: Asker) -> None:
        self._waiting.append(asker)

    @contextmanager
    def next(self) -> Iterator[Asker]:
        """Serve the first; an IbError inside is its answer. One whose serving is cancelled stays."""
        asker = self._waiting[0]
        try:
            yield asker
        except IbError as refused:
            if not asker.answer.done():
                asker.answer.set_exception(refused)
        else:
            if not asker.answer.done():
                asker.answer.set_result(None)
        self._waiting.remove(asker)

    def end(self, error: IbError) -> None:
        """Nobody is served any more."""
        for asker in self._waiting:
            if not asker.answer.done():
                asker.answer.set_exception(error)
