"""The official MCP conformance suite: our HTTP app with the suite's fixtures, and the product as it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvicorn
from fastmcp import FastMCP

from conformance import suite
from conformance.fixtures import add_fixtures
from ib_mcp.guard.router import connect
from ib_mcp.http.app import create_app
from ib_mcp.server.server import create_server
from ib_mcp.settings import HttpSettings
from ib_service.http.server import Listener, config
from support import programs
from support.guard import TOKEN, guarded, simulator

Fetched = TypeVar("Fetched")


@pytest.fixture(scope="module")
def with_fixtures(tmp_path_factory: pytest.TempPathFactory) -> suite.Results:
    """The suite against our HTTP app around a server that has all it asks for."""

    async def examine() -> suite.Results:
        server: FastMCP = FastMCP("fixtures", version="1", mask_error_details=True, on_duplicate="error")
        add_fixtures(server)
        return await _against(server, _settings("http://127.0.0.1:9"), tmp_path_factory.mktemp("fixtures"))

    return _examine(examine)


@pytest.fixture(scope="module")
def of_the_product(tmp_path_factory: pytest.TempPathFactory) -> suite.Results:
    """The suite against the product's own tools, resources and prompts."""

    async def examine() -> suite.Results:
        async with guarded(simulator().app) as data_port:
            settings = _settings(str(data_port.client.base_url))
            async with connect(settings) as guard:
                return await _against(create_server(settings, guard), settings, tmp_path_factory.mktemp("product"))

    return _examine(examine)


@pytest.mark.parametrize("scenario", [*suite.REQUIRED, *suite.PENDING])
def test_http_settings_pass_the_scenario(with_fixtures: suite.Results, scenario: str) -> None:
    assert suite.failures(with_fixtures[scenario]) == []


@pytest.mark.parametrize("scenario", suite.FIXTURE_FREE)
def test_product_passes_the_scenario_that_needs_no_fixtures(of_the_product: suite.Results, scenario: str) -> None:
    assert suite.failures(of_the_product[scenario]) == []


def test_product_is_stateless_as_far_as_can_be_checked_without_diagnostic_tools(of_the_product: suite.Results) -> None:
    checks = [check for check in of_the_product["server-stateless"] if check.id not in suite.NEED_DIAGNOSTIC_TOOLS]
    assert suite.failures(checks) == []


def test_no_required_scenario_is_left_out() -> None:
    assert set(suite.REQUIRED) == _or_skip(suite.required_by_the_suite)


def _examine(examination: Callable[[], Coroutine[Any, Any, suite.Results]]) -> suite.Results:
    _or_skip(lambda: programs.npm_tool(suite.PACKAGE, "dist/index.js"))
    return asyncio.run(examination())


def _or_skip(fetch: Callable[[], Fetched]) -> Fetched:
    try:
        return fetch()
    except programs.Unavailable as reason:
        pytest.skip(str(reason))


def _settings(guard_url: str) -> HttpSettings:
    return HttpSettings(guard_url=guard_url, guard_token=TOKEN, no_auth=True)


async def _against(server: FastMCP, settings: HttpSettings, folder: Path) -> suite.Results:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    web = uvicorn.Server(config(Listener("MCP", "127.0.0.1", 0), create_app(settings, server), lifespan="on"))
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    try:
        return await suite.run(url, folder)
    finally:
        web.should_exit = True
        await serving
