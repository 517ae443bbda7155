"""`ib-mcp endpoints status`: every endpoint of IBKR's gateway and how far it is supported."""

from __future__ import annotations

import argparse
import shutil
import sys

from ib_mcp import endpoint_status
from ibkr import catalogue


def run(given: argparse.Namespace) -> int:
    endpoints = catalogue.load()
    if given.json:
        text = endpoint_status.as_json(endpoints)
    elif given.markdown:
        text = endpoint_status.markdown(endpoints)
    else:
        text = endpoint_status.plain(endpoints, shutil.get_terminal_size().columns)
    sys.stdout.write(text)
    return 0
