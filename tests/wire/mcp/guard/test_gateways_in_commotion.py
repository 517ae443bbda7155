"""Ten minutes of what ``python -m tests.soak gateways`` does for a day."""

from __future__ import annotations

import pytest

from support.commotion import show
from support.gateways_in_commotion import GatewaysInCommotion

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("seed", [3])
async def test_every_answer_is_true_and_of_the_right_gateway_whatever_happens(seed: int):
    findings = await GatewaysInCommotion(seed, 600).run(agents=12)
    assert not findings.wrong, show(findings)
    assert findings.answers.total() > 150
