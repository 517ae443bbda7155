"""One MCP server over the gateways of two usernames, each in a release and a namespace of its own."""

from __future__ import annotations

import json

from e2e.agent import agent
from e2e.conftest import Install
from e2e.kube import Release, port_forward
from support.answers import body_of

SIMULATED = "--set=simulator.enabled=true,operator.enabled=false"


async def test_one_server_reads_the_accounts_of_two_usernames(install: Install) -> None:
    """Set up as docs/kubernetes.md says."""
    server = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "e2e-both"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "mcp"}},
    }
    admitting = f"--set-json=networkPolicy.guardFrom={json.dumps([server])}"
    with install("live", SIMULATED, "--set=simulator.signedIn=live,mcp.replicas=0", admitting) as live:
        guard = {
            "name": "live",
            "url": f"http://{live.prefix}-gateway-headless.{live.namespace}.svc:8080",
            "existingSecret": "live-guard",
            "existingSecretKey": "token",
        }

        def copy_token(release: Release) -> None:
            release.kubectl("create", "secret", "generic", "live-guard", f"--from-literal=token={live.token('guard')}")

        reading = f"--set-json=mcp.extraGateways={json.dumps([guard])}"
        with install("both", SIMULATED, "--set=simulator.signedIn=paper", reading, before=copy_token) as both:
            for release in (live, both):
                release.reaches("authenticated")
            with port_forward(both, f"svc/{both.prefix}-mcp", 80) as port:
                async with agent(f"http://127.0.0.1:{port}/mcp", both.token("mcp")) as client:
                    answer = await client.call_tool("list_accounts", {})
            table = body_of(answer)["accounts"]
            accounts = [row[table["columns"].index("account")] for row in table["rows"]]
            # A paper account's id begins with DU, a live one's with U.
            assert {account[0] for account in accounts} == {"D", "U"}, accounts
            assert "Succeeded" in both.helm("test", both.name, "--timeout", "60s")
