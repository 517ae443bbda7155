"""Twenty minutes of what ``python -m tests.soak sharing`` does for a day."""

from __future__ import annotations

import pytest

from support.commotion import Commotion, show

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("seed", [3])
async def test_every_answer_is_true_for_its_user_at_its_age_whatever_happens(seed: int):
    findings = await Commotion(seed, 1200).run(agents=12)
    assert not findings.wrong, show(findings)
    assert findings.answers.total() > 200
