"""Running the official MCP conformance suite against a server that listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import programs

PACKAGE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
REVISION = "2026-07-28"
SUITE_SECONDS = 120

# Called with no more than what every server has; the others call tools, resources and prompts of fixed names.
FIXTURE_FREE = (
    "tools-list",
    "resources-list",
    "prompts-list",
    "sep-2164-resource-not-found",
    "dns-rebinding-protection",
    "caching",
    "server-sse-multiple-streams",
    "input-required-result-unsupported-methods",
)
# Checks of server-stateless that call tools made for the suite.
NEED_DIAGNOSTIC_TOOLS = {
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-server-no-log-without-loglevel",
}
REQUIRED = (
    "server-stateless",
    "completion-complete",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
    "tools-call-with-progress",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-embedded-resource",
    "prompts-get-with-image",
    "input-required-result-basic-elicitation",
    "input-required-result-basic-sampling",
    "input-required-result-basic-list-roots",
    "input-required-result-request-state",
    "input-required-result-multiple-input-requests",
    "input-required-result-multi-round",
    "input-required-result-missing-input-response",
    "input-required-result-non-tool-request",
    "input-required-result-result-type",
    "input-required-result-tampered-state",
    "input-required-result-capability-check",
    "input-required-result-ignore-extra-params",
    "input-required-result-validate-input",
    *FIXTURE_FREE,
)
# The suite cannot require these yet, though it runs them.
PENDING = ("http-header-validation",)


@dataclass(frozen=True)
class Check:
    """One thing that a scenario looked at; ``status`` is SUCCESS, FAILURE, WARNING, SKIPPED or INFO."""

    id: str
    status: str
    message: str


Results = dict[str, tuple[Check, ...]]


def failures(checks: Sequence[Check]) -> list[str]:
    """What went wrong, one line a check; a scenario that checked nothing went wrong too."""
    if not any(check.status == "SUCCESS" for check in checks):
        return ["the scenario checked nothing", *(f"{check.id}: {check.status}" for check in checks)]
    return [f"{check.id}: {check.message}" for check in checks if check.status in ("FAILURE", "WARNING")]


def required_by_the_suite() -> set[str]:
    """The server scenarios in the suite's own list for the revision."""
    lines = (_folder() / f"requirements/{REVISION}.yaml").read_text("utf-8").splitlines()
    section = lines[lines.index("server:") + 1 : lines.index("client:")]
    return {line.removeprefix("  - ") for line in section if line.strip()}


async def run(url: str, folder: Path) -> Results:
    """What each scenario of the revision found at ``url``; ``folder`` receives the suite's files."""
    command = [*programs.npm_tool(PACKAGE, "dist/index.js"), "server", "--url", url, "--requirements", REVISION]
    suite = await asyncio.create_subprocess_exec(
        *command, "-o", str(folder), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(suite.communicate(), SUITE_SECONDS)
    except TimeoutError:
        suite.kill()
        await suite.wait()
        raise
    results = {scenario: _checks(folder, scenario) for scenario in (*REQUIRED, *PENDING)}
    if not any(results.values()):
        raise RuntimeError(f"the conformance suite did not run:\n{output.decode()}")
    return results


def _checks(folder: Path, scenario: str) -> tuple[Check, ...]:
    # The folder's name is the scenario's and a time stamp; other scenarios' names begin alike.
    found = list(folder.glob(f"server-{scenario}-2*/checks.json"))
    rows: list[dict[str, Any]] = json.loads(found[0].read_text("utf-8")) if found else []
    return tuple(Check(row["id"], row["status"], row.get("errorMessage") or "") for row in rows)


def _folder() -> Path:
    return programs.npm_package(PACKAGE) / "node_modules" / PACKAGE.rpartition("@")[0]
