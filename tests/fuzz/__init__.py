"""Random requests to every port and random answers of IBKR; ``python -m tests.fuzz`` runs many of both."""

import sys
from pathlib import Path

# The helpers of the tests import each other as pytest lets them.
sys.path.insert(0, str(Path(__file__).parents[1]))
