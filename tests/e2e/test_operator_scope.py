"""One operator over the gateways of two releases in two namespaces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.conftest import Install
from e2e.kube import Release, ready, run, until

AWAY = (
    "--set=simulator.enabled=true,simulator.signedIn=paper,mcp.replicas=0",
    "--set=operator.enabled=false,operator.supervisedFrom=e2e-keeper/keeper-ib-mcp-operator",
)
KEEPER = ("--set=simulator.enabled=true,mcp.replicas=0", "--set=operator.scope={e2e-away}")


@pytest.fixture(scope="module")
def releases(install: Install) -> Iterator[tuple[Release, Release]]:
    """The release with the operator, and the one that it supervises from there."""
    with install("away", *AWAY) as away, install("keeper", *KEEPER) as keeper:
        yield keeper, away


def _phase(release: Release) -> str:
    return str(release.get("ibs", release.name).get("status", {}).get("phase"))


def test_each_session_is_reported_in_its_namespace_by_the_one_operator(releases: tuple[Release, Release]) -> None:
    keeper, away = releases
    assert away.pods("operator") == []
    until("its own session", lambda: _phase(keeper) == "AwaitingLogin")
    until("the other's session", lambda: _phase(away) == "Authenticated")
    until("a ready pod", lambda: ready(away.pods("gateway")[0]))
    assert not ready(keeper.pods("gateway")[0])
    told = away.get("events", "--field-selector=involvedObject.kind=BrokerageSession")["items"]
    assert "SessionOpen" in [event["reason"] for event in told]


def test_a_session_lost_over_there_is_opened_again_from_here(releases: tuple[Release, Release]) -> None:
    _, away = releases
    away.simulator("drop-brokerage")
    until("the loss", lambda: _phase(away) == "Reauthenticating")
    until("the session", lambda: _phase(away) == "Authenticated", 120)


@pytest.mark.parametrize(
    ("namespace", "may"), [("e2e-keeper", "yes"), ("e2e-away", "yes"), ("default", "no"), ("kube-system", "no")]
)
def test_its_rights_end_with_the_namespaces_of_its_scope(
    releases: tuple[Release, Release], namespace: str, may: str
) -> None:
    account = f"--as=system:serviceaccount:e2e-keeper:{releases[0].prefix}-operator"
    for what in ("list pods", "patch pods --subresource=status", "list brokeragesessions.ib-mcp.dev"):
        assert run("kubectl", "auth", "can-i", *what.split(), account, "-n", namespace, check=False).strip() == may
    assert run("kubectl", "auth", "can-i", "list", "pods", account, "-A", check=False).strip() == "no"


def test_who_may_view_a_namespace_sees_its_sessions_and_who_may_edit_it_changes_them(
    releases: tuple[Release, Release],
) -> None:
    away = releases[1]
    for role in ("view", "edit"):
        away.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user=who-may-{role}")

    def may(who: str, verb: str) -> bool:
        return away.kubectl("auth", "can-i", verb, "ibs", f"--as={who}", check=False).strip() == "yes"

    until("the viewer's right", lambda: may("who-may-view", "get"))
    until("the editor's right", lambda: may("who-may-edit", "patch"))
    assert may("who-may-edit", "get")
    assert not may("who-may-view", "patch")
    assert not may("stranger", "get")


def test_the_supervised_release_goes_with_its_session_and_the_operator_stays(
    releases: tuple[Release, Release],
) -> None:
    keeper, away = releases
    away.helm("uninstall", away.name, "--timeout", "60s")
    assert away.kubectl("get", "ibs", "-o", "name") == ""
    until("no pod", lambda: not away.pods("gateway"))
    assert ready(keeper.pods("operator")[0])
    assert _phase(keeper) == "AwaitingLogin"
