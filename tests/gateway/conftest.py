from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.leaks import leaks
from gateway.program import need_programs
from gateway.rig import Rig, assembled


@pytest.fixture(scope="package")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """All programs, signed out at first; at the end everything that they wrote is looked through."""
    need_programs()
    with assembled(tmp_path_factory.mktemp("rig")) as rig:
        yield rig
        assert leaks(rig.logs(), [rig.running.mcp_token, rig.running.guard_token]) == []
        assert list(rig.gateway.working_folder.iterdir()) == [], "IBKR's gateway wrote to its disk"
