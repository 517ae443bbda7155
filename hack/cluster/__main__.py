"""A real one-node Kubernetes on a bare Linux machine.

usage: python3 hack/cluster up | down | load ARCHIVE... | kubeconfig | path | helm
       python3 hack/cluster restart | kill CONTAINER | stop-api | start-api

KUBERNETES=1.30 makes `up` and `path` use the chart's oldest Kubernetes in place of the newest.
POLICIES=none makes `up` leave NetworkPolicies to another program.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import images
import node
import programs
from layout import KUBECONFIG


def main(arguments: list[str]) -> None:
    if arguments[:1] not in (["path"], ["helm"]) and os.geteuid() != 0:
        raise SystemExit("cluster: a node needs root: run this with sudo, or set KUBECONFIG to a cluster you have")
    match arguments:
        case ["up"]:
            node.up()
        case ["down"]:
            node.down()
        case ["load", *archives] if archives:
            images.load(node.running(), *map(Path, archives))
        case ["restart"]:
            node.restart()
        case ["stop-api"]:
            node.stop_api()
        case ["start-api"]:
            node.start_api(node.running())
        case ["kill", container]:
            node.kill(container)
        case ["kubeconfig"]:
            sys.stdout.write(f"{KUBECONFIG}\n")
        case ["helm"]:
            sys.stdout.write(f"{programs.helm()}\n")
        case ["path"]:
            sys.stdout.write(f"{programs.ensure(programs.wanted())}\n")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
