"""`ib-mcp endpoints status`: every endpoint of IBKR's gateway and how far it is supported."""

from __future__ import annotations

import argparse
import shutil
import sys

from ib_mcp.reference import endpoint_table
from ibkr import catalogue


def run(given: argparse.Namespace) -> int:
    endpoints = catalogue.load()
    if given.json:
        text = endpoint_table.as_json(endpoints)
    elif given.markdown:
        text = endpoint_table.markdown(endpoints)
    else:
        text = endpoint_table.plain(endpoints, shutil.get_terminal_size().columns)
    sys.stdout.write(text)
    return 0
