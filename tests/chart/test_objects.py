"""What an installation makes: names, images, security, tokens, and what survives an upgrade."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from chart.conftest import CHART, REPOSITORY, VALUES, Object, Render, containers, one, pods
from ib_keepalive.trading.policy import Policy, parse

Helm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=VALUES, ids=lambda path: path.stem)
def objects(request: pytest.FixtureRequest, render: Render) -> list[Object]:
    return render("--values", request.param)


def test_every_container_is_restricted(objects: list[Object]) -> None:
    """The restricted Pod Security standard, hooks and sidecars included."""
    for name, spec in pods(objects):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert all("hostPath" not in volume for volume in spec.get("volumes", [])), name
        for container in containers(spec):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, (name, container["name"])
            assert own["readOnlyRootFilesystem"] is True, (name, container["name"])
            assert own["capabilities"] == {"drop": ["ALL"]}, (name, container["name"])
            assert "hostPort" not in str(container.get("ports", "")), (name, container["name"])


def test_no_pod_holds_a_kubernetes_token_and_every_one_has_its_limits(objects: list[Object]) -> None:
    for name, spec in pods(objects):
        if "operator" in name:
            continue
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert all("memory" in container["resources"]["limits"] for container in containers(spec)), name


def test_the_whole_installation_asks_for_less_than_500_mib(render: Render) -> None:
    def mebibytes(text: str) -> int:
        return int(text.removesuffix("Mi"))

    total = 0
    for name, spec in pods(render()):
        if name.endswith("-test"):
            continue
        running = [c for c in containers(spec) if c in spec["containers"] or c.get("restartPolicy") == "Always"]
        total += sum(mebibytes(container["resources"]["requests"]["memory"]) for container in running)
    assert total < 500


def test_names_stay_within_their_limits_whatever_the_release_is_called(render: Render) -> None:
    for item in render("--values", CHART / "ci/everything-values.yaml", release="a" * 53):
        name = item["metadata"]["name"]
        assert len(name) <= (52 if item["kind"] == "StatefulSet" else 63), name
        assert not name.endswith("-")


def _names(part: object) -> Iterator[object]:
    """Every name, namespace and label in an object."""
    if isinstance(part, list):
        for entry in part:
            yield from _names(entry)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in ("labels", "matchLabels", "selector", "nodeSelector"):
                yield from (found for found in value.values() if not isinstance(found, dict | list))
            elif key in ("name", "namespace", "secretName", "key", "host", "hosts", "ingressClassName"):
                yield from value if isinstance(value, list) else [value]
            yield from _names(value)


@pytest.mark.parametrize("values", [CHART / "ci/everything-values.yaml", CHART / "ci/operator-values.yaml"])
def test_names_that_look_like_numbers_stay_names(render: Render, values: Path) -> None:
    """YAML reads a bare 123, and Helm a bare 1e3 too, as a number; a namespace may be called so."""
    numbers = ("namespaceOverride=2026", "nameOverride=7", "mcp.ingress.host=1", "mcp.ingress.className=1")
    numbers += ("mcp.ingress.tls.secretName=1", "mcp.token.existingSecret=1", "mcp.token.existingSecretKey=1")
    numbers += ("operator.scope[0]=1", "operator.channelSecrets[0]=1")
    found = render("--values", values, "--set-string", ",".join(numbers), release="null")
    assert [name for name in _names(found) if isinstance(name, int | float)] == []
    unquoted = render("--set", "keepalive.token.existingSecretKey=on", release="null")
    assert list(one(unquoted, "Secret", "-guard")["data"]) == ["on"]


def test_every_object_is_in_the_namespace_asked_for(render: Render) -> None:
    found = render("--values", CHART / "ci/everything-values.yaml")
    namespaced = [item for item in found if item["metadata"]["name"] != "text"]
    cluster_wide = {"CustomResourceDefinition", "ClusterRole", "ValidatingAdmissionPolicy"}
    cluster_wide |= {"ValidatingAdmissionPolicyBinding"}
    homes = {item["metadata"].get("namespace") for item in namespaced if item["kind"] not in cluster_wide}
    assert homes == {"elsewhere"}


def test_a_digest_wins_over_the_tag_and_the_tag_defaults_to_the_version(render: Render) -> None:
    everything = one(render("--values", CHART / "ci/everything-values.yaml"), "StatefulSet", "-gateway")
    gateway = everything["spec"]["template"]["spec"]["containers"][0]
    assert gateway["image"].startswith("local.example/gateway:1@sha256:0123")
    plain = one(render(), "Deployment", "-mcp")["spec"]["template"]["spec"]["containers"][0]
    assert plain["image"] == "registry.test/ib-mcp/mcp:0.1.0"


def test_the_gateway_is_replaced_on_request_only_and_its_sidecar_outlives_it(render: Render) -> None:
    spec = one(render(), "StatefulSet", "-gateway")["spec"]
    assert spec["replicas"] == 1
    assert spec["updateStrategy"] == {"type": "OnDelete"}
    sidecar = spec["template"]["spec"]["initContainers"][-1]
    assert (sidecar["name"], sidecar["restartPolicy"]) == ("keepalive", "Always")


def test_a_new_chart_version_or_an_mcp_setting_leaves_the_gateways_template_alone(
    render: Render, tmp_path: Path
) -> None:
    newer = shutil.copytree(CHART, tmp_path / "ib-mcp")
    chart = newer / "Chart.yaml"
    chart.write_text(chart.read_text().replace("\nversion: 0.1.0\n", "\nversion: 0.2.0\n"))
    own = "--set=keepalive.token.existingSecret=guard"
    before, after = render(own), render(own, "--set", "mcp.replicas=3", chart=newer)
    assert after != before
    templates = [one(objects, "StatefulSet", "-gateway")["spec"]["template"] for objects in (before, after)]
    assert templates[0] == templates[1]


def test_what_the_owner_permits_changes_without_the_gateway_pod(render: Render) -> None:
    own = "--set=keepalive.token.existingSecret=guard"
    rendered = [render(own, "--set", f"allowWrites={value}") for value in ("false", "true")]
    pods = [one(objects, "StatefulSet", "-gateway")["spec"]["template"] for objects in rendered]
    assert pods[0] == pods[1]
    files = [one(objects, "ConfigMap", "-trading") for objects in rendered]
    assert [parse(file["data"]["policy.toml"].encode()).writes for file in files] == [False, True]
    spec = pods[0]["spec"]
    keepalive = next(container for container in spec["initContainers"] if container["name"] == "keepalive")
    (named,) = [one["value"] for one in keepalive["env"] if one["name"] == "IB_KEEPALIVE_TRADING_FILE"]
    (mount,) = [one for one in keepalive["volumeMounts"] if one["name"] == "trading"]
    (volume,) = [one for one in spec["volumes"] if one["name"] == "trading"]
    assert named == f"{mount['mountPath']}/policy.toml"
    assert volume["configMap"]["name"] == files[0]["metadata"]["name"]
    # A file mounted by subPath would never change.
    assert "subPath" not in mount


OWN = "--set=keepalive.token.existingSecret=guard,trading.approver.existingSecret=approver"


def _gateway_pod(objects: list[Object]) -> Object:
    found: Object = one(objects, "StatefulSet", "-gateway")["spec"]["template"]
    return found


def _policy(objects: list[Object]) -> Policy:
    return parse(one(objects, "ConfigMap", "-trading")["data"]["policy.toml"].encode())


def test_the_policy_of_every_example_is_understood(objects: list[Object]) -> None:
    assert _policy(objects).problem is None


def test_nothing_is_traded_unless_the_owner_says_so(render: Render) -> None:
    own = (OWN, "--set=mcp.token.existingSecret=agents")
    plain = render(*own)
    assert (_policy(plain).mode, _policy(plain).writes) == ("off", False)
    text = json.dumps([item for item in plain if item["kind"] in ("StatefulSet", "Deployment")])
    for name in ("IB_KEEPALIVE_TRADING_DIR", "IB_KEEPALIVE_APPROVER", "IB_MCP_TRADING", "IB_MCP_APPROVER"):
        assert name not in text
    assert not [item for item in plain if item["kind"] == "PersistentVolumeClaim"]
    assert render(*own, "--set", "trading.mode=false") == plain, "YAML reads a bare off as false"


@pytest.mark.parametrize(
    "change",
    [
        "trading.limits.notional=5",
        "trading.limits.symbols={AAPL,MSFT}",
        "trading.limits.ordersPerDay=1000000",
        "trading.mode=preview",
        "trading.mode=live,trading.live.accounts={U1234567}",
        "trading.approval=page",
        "trading.questions={o354}",
    ],
)
def test_a_new_limit_or_mode_leaves_the_gateway_pod_alone(render: Render, change: str) -> None:
    before = render(OWN, "--set", "trading.mode=paper")
    after = render(OWN, "--set", "trading.mode=paper", "--set", change)

    assert _gateway_pod(before) == _gateway_pod(after)
    assert _policy(before) != _policy(after)
    assert _policy(after).problem is None


def test_every_value_of_the_policy_reaches_the_guard(render: Render) -> None:
    policy = _policy(render("--values", CHART / "ci/everything-values.yaml"))

    assert (policy.problem, policy.writes, policy.mode, policy.approval) == (None, True, "live", "none")
    assert (policy.questions, policy.live.accounts, policy.live.without_approval) == (("o354",), ("U1234567",), True)
    told = policy.limits.model_dump()
    assert told.pop("notional_per_day") is None
    assert all(told.values()), told
    assert (policy.limits.notional, policy.limits.price_age_s, policy.limits.symbols) == (
        5000.5,
        900,
        ("AAPL", "BRK B"),
    )


def test_where_agents_trade_the_ledger_is_kept_and_approvals_have_a_secret(render: Render) -> None:
    objects = render("--set", "trading.mode=paper,keepalive.token.existingSecret=guard")
    claim = one(objects, "PersistentVolumeClaim", "-trading")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    secret = one(objects, "Secret", "-approver")
    spec = _gateway_pod(objects)["spec"]
    keepalive = next(container for container in spec["initContainers"] if container["name"] == "keepalive")
    given = {each["name"]: each.get("value") for each in keepalive["env"]}
    mounts = {each["mountPath"]: each["name"] for each in keepalive["volumeMounts"]}
    volumes = {each["name"]: each for each in spec["volumes"]}
    kept = volumes[mounts[given["IB_KEEPALIVE_TRADING_DIR"]]]
    assert kept["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    approver = Path(given["IB_KEEPALIVE_APPROVER_TOKEN_FILE"])
    proof = volumes[mounts[str(approver.parent)]]["secret"]
    assert proof["secretName"] == secret["metadata"]["name"]
    assert [(item["key"], item["path"]) for item in proof["items"]] == [("token", approver.name)]
    (server,) = one(objects, "Deployment", "-mcp")["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each for each in server["env"]}
    assert environment["IB_MCP_TRADING"]["value"] == "true"
    named = environment["IB_MCP_APPROVER_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert named == {"name": secret["metadata"]["name"], "key": "token"}


def test_the_owner_is_led_to_the_page_of_approvals_that_the_owner_can_open(render: Render) -> None:
    oauth = "mcp.oauth.enabled=true,mcp.oauth.existingSecret=p,mcp.publicUrl=https://mcp.example.com"
    for options, page in (
        ("trading.mode=paper", None),
        (f"trading.mode=paper,{oauth}", "https://mcp.example.com/approvals"),
        (oauth, None),
    ):
        spec = _gateway_pod(render("--set", options))["spec"]
        keepalive = next(container for container in spec["initContainers"] if container["name"] == "keepalive")
        given = {each["name"]: each.get("value") for each in keepalive["env"]}
        assert given.get("IB_KEEPALIVE_APPROVAL_URL") == page


def test_without_storage_the_ledger_lasts_as_long_as_the_pod_and_the_notes_warn(helm: Helm, render: Render) -> None:
    options = ("--set", "trading.mode=paper,trading.storage.enabled=false")
    objects = render(*options)
    assert not [item for item in objects if item["kind"] == "PersistentVolumeClaim"]
    (volume,) = [each for each in _gateway_pod(objects)["spec"]["volumes"] if each["name"] == "orders"]
    assert "emptyDir" in volume
    notes = helm("install", "demo", CHART, "--dry-run=client", "--namespace", "home", *options).stdout
    assert "WARNING: trading.storage.enabled is false" in notes


def test_trading_changes_no_network_policy(render: Render) -> None:
    def policies(*options: str) -> list[Object]:
        return [item for item in render(*options) if item["kind"] == "NetworkPolicy"]

    assert policies("--set", "trading.mode=paper") == policies()


def test_an_order_of_another_release_is_approved_by_that_ones_secret(render: Render) -> None:
    (server,) = one(render("--values", CHART / "ci/everything-values.yaml"), "Deployment", "-mcp")["spec"]["template"][
        "spec"
    ]["containers"]
    environment = {each["name"]: each for each in server["env"]}
    (guard,) = json.loads(environment["IB_MCP_EXTRA_GUARDS"]["value"])
    variable = guard["approver_token"].removeprefix("$(").removesuffix(")")
    named = environment[variable]["valueFrom"]["secretKeyRef"]
    assert named == {"name": "live-ib-mcp-approver", "key": "token"}
    names = [each["name"] for each in server["env"]]
    assert names.index(variable) < names.index("IB_MCP_EXTRA_GUARDS"), "only what stands before is put in"


def test_no_service_or_policy_names_a_port_of_a_sidecar(objects: list[Object]) -> None:
    """Kubernetes 1.30 finds such a name nowhere: the Service leads to nothing and kubectl cannot forward to it."""
    made = [container for _, spec in pods(objects) for container in spec.get("initContainers", [])]
    names = {port["name"] for container in made for port in container.get("ports", [])}
    assert names
    text = [json.dumps(item["spec"]) for item in objects if item["kind"] in ("Service", "NetworkPolicy")]
    used = {found for part in text for found in re.findall(r'"(?:targetPort|port)": "([^"]+)"', part)}
    assert used
    assert not used & names


def test_probes_of_the_gateway_pod_never_ask_the_broker(render: Render) -> None:
    spec = one(render(), "StatefulSet", "-gateway")["spec"]["template"]["spec"]
    paths = {
        container[probe]["httpGet"]["path"]
        for container in containers(spec)
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        if probe in container
    }
    assert paths == {"/livez", "/readyz"}


def test_the_gateway_is_configured_as_the_tests_of_the_real_program_configure_it(render: Render) -> None:
    conf = yaml.safe_load(one(render(), "ConfigMap", "-gateway")["data"]["conf.yaml"])
    command = [str(REPOSITORY / "images/gateway/render-conf")]
    assert conf == yaml.safe_load(subprocess.run(command, env={}, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize(("value", "delay"), [("keeper", 2147483647), ("gateway", 3000), ("nobody", 2147483647)])
def test_who_opens_the_brokerage_session_is_told_to_program_and_keepalive(
    render: Render, value: str, delay: int
) -> None:
    documents = render("--set", f"gateway.brokerageLogin={value}")
    assert yaml.safe_load(one(documents, "ConfigMap", "-gateway")["data"]["conf.yaml"])["authDelay"] == delay
    pod = one(documents, "StatefulSet", "-gateway")["spec"]["template"]["spec"]
    keepalive = next(container for container in pod["initContainers"] if container["name"] == "keepalive")
    given = {variable["name"]: variable.get("value") for variable in keepalive["env"]}
    assert given["IB_KEEPALIVE_BROKERAGE_LOGIN"] == value
    assert given["IB_KEEPALIVE_REOPEN_AFTER_S"] == "30", "the operator asks first"


def test_more_java_options_come_after_the_images_own_and_win(render: Render) -> None:
    text = (REPOSITORY / "images/gateway/Containerfile").read_text()
    entrypoint = json.loads(text.partition("ENTRYPOINT")[2].replace("\\\n", ""))
    options = ["-Xmx128m", "-Dsun.name=two words"]
    spec = one(render("--set-json", f"gateway.extraJvmOptions={json.dumps(options)}"), "StatefulSet", "-gateway")[
        "spec"
    ]
    assert spec["template"]["spec"]["containers"][0]["command"] == entrypoint[:2] + options + entrypoint[2:]


def test_an_annotation_of_the_chart_gives_way_to_the_owners(render: Render) -> None:
    option = r"gateway.podAnnotations.cluster-autoscaler\.kubernetes\.io/safe-to-evict=yes"
    metadata = one(render("--set", option), "StatefulSet", "-gateway")["spec"]["template"]["metadata"]
    assert metadata["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "yes"
    assert metadata["annotations"]["kubectl.kubernetes.io/default-container"] == "gateway"


def test_the_simulator_gets_what_is_added_to_the_gateways_pod(render: Render) -> None:
    added = (
        "gateway.extraVolumes[0].name=more",
        "gateway.extraVolumeMounts[0].name=more",
        "gateway.extraEnv[0].name=X",
    )
    spec = one(render("--set", ",".join(("simulator.enabled=true", *added))), "StatefulSet", "-gateway")["spec"]
    pod = spec["template"]["spec"]
    assert pod["volumes"][1:] == pod["containers"][0]["volumeMounts"] == [{"name": "more"}]
    assert {"name": "X"} in pod["containers"][0]["env"]


def test_the_test_pod_runs_where_the_server_may(render: Render) -> None:
    placed = 'mcp={"nodeSelector":{"a":"b"},"tolerations":[{"operator":"Exists"}],"affinity":{"podAntiAffinity":{}}}'
    spec = one(render("--set-json", placed), "Pod", "-test")["spec"]
    assert (spec["nodeSelector"], spec["tolerations"]) == ({"a": "b"}, [{"operator": "Exists"}])
    assert "affinity" not in spec


def test_an_autoscaled_server_is_given_no_number_of_pods(render: Render) -> None:
    assert "replicas" not in one(render("--set", "mcp.autoscaling.enabled=true"), "Deployment", "-mcp")["spec"]


def test_existing_secrets_are_used_and_none_is_made(render: Render) -> None:
    found = render(
        "--set",
        "keepalive.token.existingSecret=guard,mcp.token.existingSecret=agents,mcp.tokens.existingSecret=named",
    )
    assert not [item for item in found if item["kind"] == "Secret"]
    assert '"guard"' in json.dumps(one(found, "Deployment", "-mcp"))


def test_the_guards_of_other_releases_are_given_with_their_tokens_from_secrets(render: Render) -> None:
    found = one(render("--values", CHART / "ci/everything-values.yaml"), "Deployment", "-mcp")
    env = {entry["name"]: entry for entry in found["spec"]["template"]["spec"]["containers"][0]["env"]}
    (guard,) = json.loads(env["IB_MCP_EXTRA_GUARDS"]["value"])
    variable = guard["token"].removeprefix("$(").removesuffix(")")
    assert env[variable]["valueFrom"]["secretKeyRef"] == {"name": "live-ib-mcp-guard", "key": "token"}
    assert list(env).index(variable) < list(env).index("IB_MCP_EXTRA_GUARDS")


def test_agents_reach_nothing_but_the_mcp_path_from_outside(render: Render) -> None:
    found = render("--values", CHART / "ci/everything-values.yaml")
    (rule,) = one(found, "Ingress", "-mcp")["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/mcp"]
    (route,) = one(found, "HTTPRoute", "-mcp")["spec"]["rules"]
    assert [match["path"]["value"] for match in route["matches"]] == ["/mcp"]
    assert route["timeouts"] == {"request": "0s", "backendRequest": "0s"}


def test_the_notes_name_three_steps_that_work_and_warn_of_what_is_risky(
    helm: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Helm prints the notes for a dry run of an installation."""
    options = ("--dry-run=client", "--namespace", "home")
    plain = helm("install", "demo", CHART, *options).stdout.partition("NOTES:")[2]
    assert "kubectl -n home port-forward svc/demo-ib-mcp-gateway 5000" in plain
    assert "http://localhost:5000" in plain
    assert "get secret demo-ib-mcp-mcp -o jsonpath='{.data.token}'" in plain
    assert "kubectl -n home wait --for=condition=Authenticated ibs/demo" in plain
    assert "WARNING" not in plain
    dotted = helm("install", "demo", CHART, *options, "--set", "mcp.token.existingSecretKey=api.token").stdout
    assert r"-o jsonpath='{.data.api\.token}'" in dotted
    alone = helm("install", "demo", CHART, *options, "--set=operator.enabled=false").stdout
    assert "ibs/" not in alone.partition("NOTES:")[2]
    risky = "keepalive.compete=true,networkPolicy.enabled=false,mcp.ingress.enabled=true,mcp.ingress.host=a.b"
    risky += ",mcp.ingress.tls.insecure=true"
    assert helm("install", "demo", CHART, *options, "--set", risky).stdout.count("WARNING") == 3


OAUTH = "mcp.oauth.enabled=true,mcp.publicUrl=https://ibkr.example.net,mcp.oauth.existingSecret=owner"


def test_all_paths_of_oauth_pass_ingress_and_route_and_the_grants_outlive_the_pod(render: Render) -> None:
    found = render("--values", CHART / "ci/everything-values.yaml", "--set", f"{OAUTH},mcp.replicas=1",
                   "--set", "mcp.autoscaling.enabled=false,mcp.podDisruptionBudget.enabled=false")  # fmt: skip
    paths = ["/mcp", "/.well-known", "/authorize", "/consent", "/sign-in", "/token", "/register", "/revoke"]
    for rule in one(found, "Ingress", "-mcp")["spec"]["rules"]:
        assert set(paths) <= {path["path"] for path in rule["http"]["paths"]}
    (route,) = one(found, "HTTPRoute", "-mcp")["spec"]["rules"]
    assert [match["path"]["value"] for match in route["matches"]] == paths
    deployment = one(found, "Deployment", "-mcp")["spec"]
    assert deployment["strategy"] == {"type": "Recreate"}
    claim = one(found, "PersistentVolumeClaim", "-mcp-oauth")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    volumes = {volume["name"]: volume for volume in deployment["template"]["spec"]["volumes"]}
    assert volumes["oauth"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_with_a_database_there_are_several_pods_and_no_volume(render: Render) -> None:
    found = render("--set", f"{OAUTH},mcp.replicas=2,mcp.oauth.database.existingSecret=pg,networkPolicy.enabled=true")
    deployment = one(found, "Deployment", "-mcp")["spec"]
    assert (deployment["replicas"], deployment.get("strategy")) == (2, None)
    (container,) = deployment["template"]["spec"]["containers"]
    variables = {each["name"]: each for each in container["env"]}
    assert variables["IB_MCP_OAUTH_DATABASE"]["valueFrom"]["secretKeyRef"] == {"name": "pg", "key": "url"}
    assert "IB_MCP_OAUTH_STORE" not in variables
    assert "oauth" not in [volume["name"] for volume in deployment["template"]["spec"]["volumes"]]
    assert not [
        each for each in found if each["kind"] == "PersistentVolumeClaim" and "oauth" in each["metadata"]["name"]
    ]
    egress = one(found, "NetworkPolicy", "-mcp")["spec"]["egress"]
    assert {"ports": [{"port": 5432}]} in egress


def test_documents_about_clients_come_from_the_internet_only(render: Render) -> None:
    found = render("--set", f"{OAUTH},mcp.oauth.clientDocuments=true,networkPolicy.enabled=true")
    egress = one(found, "NetworkPolicy", "-mcp")["spec"]["egress"]
    (rule,) = [rule for rule in egress if rule["ports"] == [{"port": 443}]]
    inside = {each for peer in rule["to"] for each in peer["ipBlock"]["except"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7"} <= inside


def test_under_a_path_all_of_it_passes_there_and_metadata_at_the_root_too(render: Render) -> None:
    found = render("--values", CHART / "ci/oauth-ingress-nginx-values.yaml",
                   "--set", "mcp.publicUrl=https://home.example.net/ibkr")  # fmt: skip
    (rule,) = one(found, "Ingress", "-mcp")["spec"]["rules"]
    paths = {path["path"] for path in rule["http"]["paths"]}
    assert {"/ibkr/mcp", "/ibkr/consent", "/ibkr/sign-in", "/ibkr/.well-known", "/.well-known"} <= paths


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (f"{OAUTH},mcp.replicas=2", "mcp.replicas"),
        (f"{OAUTH},mcp.autoscaling.enabled=true", "mcp.autoscaling.enabled"),
        ("mcp.oauth.enabled=true,mcp.publicUrl=https://a.example", "mcp.oauth.existingSecret"),
        (f"{OAUTH},mcp.publicUrl=http://a.example", "publicUrl"),
        (f"{OAUTH},mcp.publicUrl=https://a.example/x?y", "publicUrl"),
        (f"{OAUTH},mcp.oauth.signIn.clientId=ib-mcp", "mcp.issuer.url"),
        ("mcp.external.proxies={10.42.0.0/24}", "mcp.external.users"),
        ("mcp.external.users={robin}", "mcp.external.proxies"),
        ("mcp.external.users={robin},mcp.external.proxies={0.0.0.0/0}", "proxies"),
        ("mcp.issuer.url=https://id.example,mcp.publicUrl=https://a.example", "mcp.issuer.users"),
    ],
)
def test_oauth_that_cannot_work_is_refused(
    helm: Callable[..., subprocess.CompletedProcess[str]], options: str, word: str
) -> None:
    done = helm("template", "demo", CHART, "--set", options)
    assert done.returncode != 0
    assert word in done.stderr
