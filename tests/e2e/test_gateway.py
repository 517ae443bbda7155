"""IBKR's real gateway program in its pod, the simulator behind it under IBKR's own name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from string import Template

import pytest
import yaml

from e2e.agent import agent, sign_in
from e2e.conftest import Install, Node
from e2e.kube import CHART, REFUSED, Release, port_forward, until
from gateway.program import BACKEND_NAME, Authority
from support.answers import body_of

BROKER = Path(__file__).with_name("broker.yaml")


@pytest.fixture(scope="module")
def real(install: Install, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    ibkr = Authority(tmp_path_factory.mktemp("ibkr"))
    address: list[str] = []
    image = yaml.safe_load(images.read_text())["simulator"]["image"]

    def broker(release: Release) -> None:
        release.kubectl("create", "secret", "tls", "broker", f"--cert={ibkr.certificate}", f"--key={ibkr.key}")
        release.kubectl("create", "secret", "generic", "trust", f"--from-file={ibkr.trust_store}")
        name = f"{image['registry']}/{image['repository']}:{image['tag']}"
        release.kubectl(
            "apply", "-f", "-", text=Template(BROKER.read_text()).substitute(image=name, policy=image["pullPolicy"])
        )
        release.kubectl("rollout", "status", "deployment/broker", "--timeout=60s")
        address.append(release.get("service", "broker")["spec"]["clusterIP"])
        values.write_text(yaml.safe_dump(_values(address[0])))

    values = tmp_path_factory.mktemp("real") / "values.yaml"
    with install("real", "-f", str(values), before=broker) as release:
        yield release


def _values(address: str) -> dict[str, object]:
    trust = {"name": "trust", "mountPath": "/trust", "readOnly": True}
    return {
        "gateway": {
            "hostAliases": [{"ip": address, "hostnames": [BACKEND_NAME]}],
            "extraJvmOptions": [
                "-Djavax.net.ssl.trustStore=/trust/trust.p12",
                "-Djavax.net.ssl.trustStorePassword=changeit",
            ],
            "extraVolumes": [{"name": "trust", "secret": {"secretName": "trust"}}],
            "extraVolumeMounts": [trust],
        },
        "keepalive": {"extraEnv": [{"name": "IB_KEEPALIVE_MAINTENANCE_HOURS", "value": "false"}]},
        "networkPolicy": {"gatewayEgress": [{"ports": [{"port": 9443}]}]},
    }


def test_the_status_names_the_build_of_the_program(real: Release) -> None:
    assert "sha256:" in real.status()["gateway"]["build"]


@pytest.mark.parametrize("part", ["gateway", "keepalive", "mcp", "operator", "simulator"])
def test_each_part_is_well_by_the_health_command_of_its_image(real: Release, part: str) -> None:
    folder = "operator" if part == "operator" else f"images/{part}"
    text = (CHART.parents[1] / folder / "Containerfile").read_text()
    command = json.loads(text.partition("\nHEALTHCHECK CMD ")[2].partition("\n")[0])
    real.reaches("login_required")
    labels = {"keepalive": "app.kubernetes.io/component=gateway", "simulator": "app=broker"}
    label = labels.get(part, f"app.kubernetes.io/component={part}")
    pod = real.get("pods", "-l", label)["items"][0]["metadata"]["name"]
    real.kubectl("exec", pod, "-c", "broker" if part == "simulator" else part, "--", *command)


async def test_a_browser_signs_in_and_an_agent_reads_positions(real: Release) -> None:
    real.reaches("login_required")
    with port_forward(real, f"svc/{real.prefix}-gateway", 5000) as port:
        await sign_in(f"http://localhost:{port}/")
    real.reaches("authenticated")
    with port_forward(real, f"svc/{real.prefix}-mcp", 80) as port:
        async with agent(f"http://127.0.0.1:{port}/mcp", real.token("mcp")) as client:
            answer = await client.call_tool("get_account_positions", {})
    assert body_of(answer)["positions"]["rows"]


def test_the_raw_program_is_out_of_reach_of_another_pod(real: Release) -> None:
    """From the broker's pod, which no policy holds back; the gateway's own does, and so does its loopback listener."""
    address = real.pods("gateway")[0]["status"]["podIP"]
    broker = real.get("pods", "-l", "app=broker")["items"][0]["metadata"]["name"]
    for port in (5000, 5443, 8080, 8081):
        assert real.from_pod(broker, "broker", address, port) in REFUSED


def test_a_program_that_crashes_asks_for_a_new_login(real: Release, node: Node) -> None:
    uid = real.pods("gateway")[0]["metadata"]["uid"]
    node.kill(real.pods("gateway")[0]["status"]["containerStatuses"][0]["containerID"])
    until("a restarted program", lambda: _restarts(real) == 1)
    real.reaches("login_required")
    assert real.pods("gateway")[0]["metadata"]["uid"] == uid


def _restarts(release: Release) -> int:
    status = release.pods("gateway")[0]["status"]["containerStatuses"][0]
    return int(status["restartCount"])
