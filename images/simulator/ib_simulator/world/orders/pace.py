"""How long orders take, at IBKR and at the exchanges."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Pace:
    """Seconds that IBKR and the exchanges take. ``acknowledge_s``: from placed to working. ``cancel_s``: from the
    request to the cancel, when the order may still be filled. ``fill_s``: between two parts of a fill. ``list_s``:
    until an order is in lists. ``question_s``: how long a question waits for its answer. ``any_request_voids``: every
    other request makes a question void, not only those about orders."""

    acknowledge_s: float = 0.0
    cancel_s: float = 0.5
    fill_s: float = 1.0
    list_s: float = 0.0
    question_s: float = 60.0
    any_request_voids: bool = False
