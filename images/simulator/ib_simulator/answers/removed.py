"""Operations that IBKR removed or never served to this kind of user: 404, as live."""

from __future__ import annotations

from ib_simulator.call import Answer, Call
from ib_simulator.world import World


def _not_found(world: World, call: Call) -> Answer:
    return Answer("Resource not found", status=404, media="text/plain")


ANSWERS = dict.fromkeys(
    (
        "get_regulatory_snapshot",
        "open_hmds_session",
        "get_hmds_history",
        "run_hmds_market_scanner",
        "get_hmds_scanner_parameters",
        "run_hmds_scanner",
    ),
    _not_found,
)
