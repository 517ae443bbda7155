"""Which Kubernetes the test cluster of hack/cluster can be."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import yaml

from chart.conftest import CHART, REPOSITORY


def test_an_unknown_kubernetes_is_told_the_choices_the_chart_s_floor_among_them() -> None:
    command = [sys.executable, str(REPOSITORY / "hack/cluster"), "path"]
    environment = {**os.environ, "KUBERNETES": "1.2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    floor = re.fullmatch(r">=(\d+\.\d+)\.0-0", yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])
    assert floor
    assert done.returncode == 1
    assert done.stderr == f"cluster: KUBERNETES=1.2 is unknown: choose 1.37 (the default) or {floor[1]}\n"
