"""OpenAPI documents of our own, in the manner of other public APIs: a shop (3.0, YAML) and payments (3.1, YAML)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent
SHOP, PAYMENTS = _FOLDER / "shop.yaml", _FOLDER / "payments.yaml"


def all_of_them() -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text("utf-8")) for path in (SHOP, PAYMENTS)]
