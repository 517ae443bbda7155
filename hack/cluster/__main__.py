"""A real one-node Kubernetes on a bare Linux machine.

usage: python3 hack/cluster up | down | load ARCHIVE... | kubeconfig | path | helm
       python3 hack/cluster restart | kill CONTAINER | stop-api | start-api
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
            images.load(programs.ensure(), *map(Path, archives))
        case ["restart"]:
            node.restart()
        case ["stop-api"]:
            node.stop_api()
        case ["start-api"]:
            node.start_api(programs.ensure())
        case ["kill", container]:
            node.kill(container)
        case ["kubeconfig"]:
            sys.stdout.write(f"{KUBECONFIG}\n")
        case ["helm"]:
            sys.stdout.write(f"{programs.helm()}\n")
        case ["path"]:
            sys.stdout.write(f"{programs.ensure()}\n")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
