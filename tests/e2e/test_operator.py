"""Login state as Kubernetes shows it, sessions opened again by themselves, and the owner told when needed."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.agent import agent, sign_in
from e2e.conftest import Install, Node
from e2e.kube import CHART, Release, port_forward, ready, run, until
from support.answers import body_of

# Keeps what is posted to it, and shows it to whoever asks.
_RECEIVER = """
import http.server, json
kept = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        kept.append([self.path, body, dict(self.headers)]); self.send_response(200); self.end_headers()
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(json.dumps(kept).encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


def _receiver(release: Release, image: str) -> str:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "receiver", "namespace": release.namespace, "labels": {"app": "receiver"}},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "receiver",
                    "image": image,
                    "command": ["python3", "-c", _RECEIVER],
                    "securityContext": security,
                }
            ],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "receiver", "namespace": release.namespace},
        "spec": {"selector": {"app": "receiver"}, "ports": [{"port": 8000}]},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, service]})


@pytest.fixture(scope="module")
def demo(install: Install, images: Any) -> Iterator[Release]:
    import yaml

    named = yaml.safe_load(images.read_text())["simulator"]["image"]
    image = f"{named['registry']}/{named['repository']}:{named['tag']}"

    def prepare(release: Release) -> None:
        release.kubectl("apply", "-f", "-", text=_receiver(release, image))
        url = f"http://receiver.{release.namespace}:8000"
        secret = ("create", "secret", "generic")
        release.kubectl(*secret, "home", f"--from-literal=url={url}/hook", "--from-literal=signing-key=k")
        release.kubectl(*secret, "phone", f"--from-literal=url={url}/topic", "--from-literal=token=t")

    notifications = [
        {"name": name, "type": kind, "secretRef": {"name": name}}
        for name, kind in (("home", "webhook"), ("phone", "ntfy"))
    ]
    egress = [{"ports": [{"port": 443}, {"port": 6443}, {"port": 8000}]}]
    with install(
        "watched",
        "--set=simulator.enabled=true",
        f"--set-json=operator.notifications={json.dumps(notifications)}",
        f"--set-json=networkPolicy.operatorEgress={json.dumps(egress)}",
        "--rollback-on-failure",
        before=prepare,
    ) as release:
        release.kubectl("wait", "--for=condition=Ready", "pod/receiver", "--timeout=60s")
        yield release


def _session(release: Release) -> dict[str, Any]:
    found: dict[str, Any] = release.get("ibs", release.name).get("status", {})
    return found


def _reaches(release: Release, phase: str, seconds: float = 60) -> dict[str, Any]:
    return until(f"phase {phase}", lambda: s if (s := _session(release)).get("phase") == phase else None, seconds) or {}


def _received(release: Release, path: str) -> list[Any]:
    script = "import urllib.request as u;print(u.urlopen('http://127.0.0.1:8000').read().decode())"
    kept = json.loads(release.kubectl("exec", "receiver", "--", "python3", "-c", script))
    return [body for where, body, _ in kept if where == path]


def _hooks(release: Release) -> list[str]:
    return [json.loads(body)["reason"] for body in _received(release, "/hook")]


def _inits(release: Release) -> int:
    pod, script = (
        release.gateway_pod,
        "import urllib.request as u;print(u.urlopen('http://127.0.0.1:5001/control/requests?last=1').read().decode())",
    )
    answer = json.loads(release.kubectl("exec", pod, "-c", "gateway", "--", "python3", "-c", script))
    return sum(n for name, n in answer["counters"]["statuses"].items() if name.startswith("open_brokerage_session"))


def _endpoint_is_ready(release: Release, service: str) -> bool:
    slices = release.get("endpointslices", "-l", f"kubernetes.io/service-name={service}")["items"]
    endpoints = [one for found in slices for one in found.get("endpoints") or []]
    return any(one["conditions"].get("ready") for one in endpoints)


def test_installing_waits_for_nobody_and_says_what_to_do(demo: Release) -> None:
    status = _reaches(demo, "AwaitingLogin", 30)
    assert f"kubectl -n {demo.namespace} port-forward svc/{demo.prefix}-gateway 5000" in status["message"]
    assert not ready(demo.pods("gateway")[0])
    assert not _endpoint_is_ready(demo, f"{demo.prefix}-gateway")
    assert _endpoint_is_ready(demo, f"{demo.prefix}-gateway-headless")
    row = demo.kubectl("get", "ibs").splitlines()[1].split()
    assert row[:3] == [demo.name, "AwaitingLogin", "False"]


def test_the_owner_is_told_the_command_by_webhook_and_ntfy(demo: Release) -> None:
    until("a notification", lambda: _received(demo, "/topic") and _received(demo, "/hook"), 30)
    assert _hooks(demo) == ["LoginRequired"]
    assert "port-forward" in _received(demo, "/topic")[0]


async def test_a_login_by_browser_is_seen_within_ten_seconds(demo: Release) -> None:
    with port_forward(demo, f"svc/{demo.prefix}-gateway", 5000) as port:
        await sign_in(f"http://localhost:{port}/")
    demo.kubectl("wait", "--for=condition=Authenticated", f"ibs/{demo.name}", "--timeout=10s")
    assert _session(demo)["mode"] == "paper"
    until("a ready pod", lambda: ready(demo.pods("gateway")[0]), 15)
    until("its endpoint", lambda: _endpoint_is_ready(demo, f"{demo.prefix}-gateway"), 15)


def test_the_nightly_reset_is_got_over_without_a_person(demo: Release) -> None:
    demo.simulator("nightly-reset")
    _reaches(demo, "Reauthenticating", 90)
    _reaches(demo, "Authenticated", 180)
    assert "ReauthExhausted" not in _hooks(demo)


def test_while_another_program_competes_nothing_is_opened_and_one_notification_goes_out(demo: Release) -> None:
    before = _inits(demo)
    demo.simulator("compete", on=True)
    _reaches(demo, "Competing", 90)
    until("a notification", lambda: "SessionCompeting" in _hooks(demo), 30)
    _ask_again(demo)
    until("a few looks", lambda: _session(demo)["phase"] == "Competing" and _looked_again(demo), 60)
    assert _inits(demo) == before
    assert _hooks(demo).count("SessionCompeting") == 1
    demo.simulator("compete", on=False)
    _reaches(demo, "Authenticated", 120)


def _ask_again(release: Release) -> None:
    """Have the session opened at once, whatever its place in the back-off."""
    release.kubectl("annotate", f"ibs/{release.name}", f"ib-mcp.dev/reauthenticate-at={_now()}", "--overwrite")


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _looked_again(release: Release, looks: dict[str, int] = {}) -> bool:  # noqa: B006
    log = release.kubectl("get", "--raw", _operator_metrics(release))
    count = next(float(line.split()[1]) for line in log.splitlines() if line.startswith("ibmcp_operator_polls_total{"))
    first = looks.setdefault(release.name, int(count))
    return count >= first + 3


def _operator_metrics(release: Release) -> str:
    pod = release.pods("operator")[0]["metadata"]["name"]
    return f"/api/v1/namespaces/{release.namespace}/pods/{pod}:8080/proxy/metrics"


def test_a_paused_session_is_left_alone_until_its_owner_says_otherwise(demo: Release) -> None:
    demo.kubectl("patch", f"ibs/{demo.name}", "--type=merge", "-p", '{"spec":{"paused":true}}')
    _reaches(demo, "Paused")
    before = _inits(demo)
    demo.simulator("drop-brokerage")
    demo.reaches("reopening", 60)
    until("a closed gate", lambda: not ready(demo.pods("gateway")[0]), 60)
    assert _inits(demo) == before
    demo.kubectl("patch", f"ibs/{demo.name}", "--type=merge", "-p", '{"spec":{"paused":false}}')
    _reaches(demo, "Reauthenticating")
    _ask_again(demo)
    _reaches(demo, "Authenticated", 60)


def test_the_annotation_opens_a_session_that_is_not_opened_by_itself(demo: Release) -> None:
    demo.kubectl("patch", f"ibs/{demo.name}", "--type=merge", "-p", '{"spec":{"reauth":{"enabled":false}}}')
    demo.simulator("drop-brokerage")
    until("its reason", lambda: _session(demo)["reason"] == "ReauthDisabled", 60)
    _ask_again(demo)
    _reaches(demo, "Authenticated", 60)
    demo.kubectl("patch", f"ibs/{demo.name}", "--type=merge", "-p", '{"spec":{"reauth":{"enabled":true}}}')


def test_a_killed_operator_leaves_the_gate_open_and_goes_on_afterwards(demo: Release) -> None:
    told = len(_hooks(demo))
    demo.kubectl("delete", "pod", "-l", "app.kubernetes.io/component=operator", "--grace-period=0", "--force")
    assert ready(demo.pods("gateway")[0])
    demo.simulator("compete", on=True)
    _reaches(demo, "Competing", 120)
    demo.simulator("compete", on=False)
    _reaches(demo, "Reauthenticating", 60)
    _ask_again(demo)
    _reaches(demo, "Authenticated", 60)
    assert len(_hooks(demo)) <= told + 1


async def test_two_minutes_without_the_api_server_disturb_no_agent(demo: Release, node: Node) -> None:
    _reaches(demo, "Authenticated")
    address, token = demo.pods("mcp")[0]["status"]["podIP"], demo.token("mcp")
    with node.without_api():
        over = time.monotonic() + 120
        while time.monotonic() < over:
            async with agent(f"http://{address}:8080/mcp", token) as client:
                answer = await client.call_tool("get_account_positions", {})
                assert body_of(answer)["positions"]["rows"]
            await asyncio.sleep(5)
    # Long enough for an operator that has yet to find the API server again.
    demo.simulator("drop-brokerage", disconnected_s=90)
    _reaches(demo, "Reauthenticating", 120)
    _reaches(demo, "Authenticated", 180)


def test_a_restarted_sidecar_is_seen_signed_in_again(demo: Release) -> None:
    demo.kubectl("exec", demo.gateway_pod, "-c", "keepalive", "--", "python3", "-c", "import os;os.kill(1,15)")
    until("a restart", lambda: demo.pods("gateway")[0]["status"]["initContainerStatuses"][-1]["restartCount"] == 1)
    _reaches(demo, "Authenticated", 120)
    until("a ready pod", lambda: ready(demo.pods("gateway")[0]), 120)


def _apply_definition() -> None:
    options = ("--server-side", "--force-conflicts", "--field-manager=helm")
    run("kubectl", "apply", *options, "-f", str(CHART / "crds"))
    run("kubectl", "wait", "--for=condition=Established", "crd/brokeragesessions.ib-mcp.dev", "--timeout=30s")


def test_a_deleted_definition_comes_back_by_one_command_and_the_next_upgrade(demo: Release) -> None:
    run("kubectl", "delete", "crd", "brokeragesessions.ib-mcp.dev", "--timeout=30s")
    assert ready(demo.pods("gateway")[0])
    _apply_definition()
    demo.upgrade()
    _reaches(demo, "Authenticated", 90)


def test_an_upgrade_changes_the_session_object_in_place(demo: Release) -> None:
    before = demo.get("ibs", demo.name)["metadata"]["uid"]
    demo.upgrade("--set-json=operator.quietHours=" + json.dumps({"start": "01:00", "end": "01:01", "timeZone": "UTC"}))
    after = demo.get("ibs", demo.name)
    assert after["metadata"]["uid"] == before
    assert after["spec"]["quietHours"]["timeZone"] == "UTC"
    assert _session(demo)["phase"] == "Authenticated"


def test_a_lost_sign_in_asks_for_a_person_again(demo: Release) -> None:
    before = _inits(demo)
    demo.simulator("sign-out")
    status = _reaches(demo, "AwaitingLogin", 90)
    assert "port-forward" in status["message"]
    until("a notification", lambda: _hooks(demo)[-1] == "LoginRequired", 30)
    assert _inits(demo) == before


def test_an_outdated_idle_pod_is_replaced_where_the_owner_wants_it(demo: Release) -> None:
    before = demo.pods("gateway")[0]["metadata"]["uid"]
    demo.upgrade("--set=operator.rollout.policy=WhenIdle,gateway.podAnnotations.changed=yes")
    until("another pod", lambda: [p for p in demo.pods("gateway") if p["metadata"]["uid"] != before], 120)
    _reaches(demo, "AwaitingLogin", 120)


def test_everything_goes_in_whatever_order(demo: Release) -> None:
    run("kubectl", "delete", "crd", "brokeragesessions.ib-mcp.dev", "--timeout=30s")
    _apply_definition()
    demo.helm("uninstall", demo.name, "--timeout", "60s")
    until("no pods", lambda: not demo.pods("gateway") and not demo.pods("operator"), 60)
    run("kubectl", "delete", "namespace", demo.namespace, "--timeout=90s")
