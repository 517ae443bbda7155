"""`ib-mcp token` with the Secret of the chart, at a real API server and with kubectl as people have it."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ib_mcp.auth import tokens
from support import api_server, cli

SECRET = "/api/v1/namespaces/home/secrets/demo-ib-mcp-mcp-tokens"


def test_tokens_of_a_cluster_are_keys_of_its_secret(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    with api_server.running(tmp_path, {}) as (server, _):
        for one in [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "home"}}, *_secrets()]:
            server.apply(one)
        config = tmp_path / "kubeconfig"
        for words in (
            ["set-cluster", "c", f"--server={server.url}", f"--certificate-authority={server.ca_file}"],
            ["set-credentials", "u", "--token=token-of-the-admin"],
            ["set-context", "x", "--cluster=c", "--user=u"],
            ["use-context", "x"],
        ):
            subprocess.run(["kubectl", "--kubeconfig", config, "config", *words], check=True, capture_output=True)

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            place = ("--secret", "home/demo-ib-mcp-mcp-tokens")
            return cli.run(tmp_path, "token", *words, *place, KUBECONFIG=str(config))

        made = run("new", "phone", "--account", "U1")
        assert made.returncode == 0, made.stderr
        assert run("new", "laptop").returncode == 0
        kept = server.get(SECRET)["data"]
        (token,) = tokens.parse(base64.b64decode(kept["phone"]).decode()).values()
        assert token.digest == tokens.digest_of(made.stdout.strip())
        assert token.grant.accounts == {"U1"}
        # An upgrade of the release takes no token away.
        server.apply(*_secrets())
        assert [row.split()[0] for row in run("list").stdout.splitlines()] == ["NAME", "laptop", "phone"]
        assert run("revoke", "phone").returncode == 0
        assert set(server.get(SECRET)["data"]) == {"laptop"}
        missing = cli.run(tmp_path, "token", "list", "--secret", "home/other", KUBECONFIG=str(config))
        assert missing.returncode == 1
        assert "not found" in missing.stderr


def test_without_kubectl_it_says_what_is_missing(tmp_path: Path) -> None:
    done = cli.run(tmp_path, "token", "list", "--secret", "a", PATH=str(Path(sys.executable).parent))
    assert done.returncode == 1
    assert "kubectl is needed" in done.stderr


def _secrets() -> list[dict[str, object]]:
    return [one for one in api_server.rendered("home") if one["kind"] == "Secret" and "-tokens" in str(one["metadata"])]
