"""Orders at the guard: what an agent is told when the guard itself is gone."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ib_mcp.guard.client import Guard
from ib_mcp.guard.desk import Desk
from ibkr.errors import OutcomeUnknown


class GoneGuard:
    """Takes a request, and ends before it answers."""

    async def trading(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise OutcomeUnknown("It was sent.", action="Do not send it again: read first whether it was done.")


async def test_a_ticket_whose_answer_was_lost_is_submitted_again() -> None:
    with pytest.raises(OutcomeUnknown) as told:
        await Desk(cast(Guard, GoneGuard())).submit("x" * 22)
    assert "the same ticket again" in told.value.action
