"""Measurements of the running product; ``python -m tests.bench`` runs them."""

import sys
from pathlib import Path

# The helpers of the tests import each other as pytest lets them.
sys.path.insert(0, str(Path(__file__).parents[1]))
