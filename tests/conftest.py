"""What holds for every test."""

import asyncio

import pytest

from support.backend import BACKENDS, Chosen

# pytest-asyncio looks for a current event loop before it sets its own; Python 3.11 would make one there that nobody
# closes, and its ResourceWarning would fail whichever test happens to be running.
asyncio.set_event_loop(None)

_SHARED_PROGRAMS = {"gateway", "chart"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", choices=BACKENDS, default="gateway", help="how the agents' keepalives reach IBKR")


def pytest_configure(config: pytest.Config) -> None:
    Chosen.backend = config.getoption("--backend")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, a file stays with one process, and so do the files that share one set of programs."""
    for item in items:
        group = item.path.parent if item.path.parent.name in _SHARED_PROGRAMS else item.path
        item.add_marker(pytest.mark.xdist_group(str(group)))
