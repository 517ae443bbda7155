"""Looking for secrets in what programs wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# Account numbers, and the 32 and more hexadecimal digits of a session cookie, a session key or a login's id.
SHAPES = (r"\b(?:DU|DF|U|F)\d{5,9}\b", r"\b[0-9a-f]{32,}\b")
# IBKR's gateway says at its start which commit it was built from.
HARMLESS = re.compile(r"^version: [0-9a-f]{40} ")


def leaks(written: Mapping[str, str], words: Iterable[str]) -> list[str]:
    """Every line with one of ``words`` or something shaped like a secret, after the name it was written under."""
    secret = re.compile("|".join([*SHAPES, *(rf"(?<![\w.]){re.escape(word)}(?![\w.])" for word in words)]))
    return [
        f"{name}: {line}"
        for name, text in written.items()
        for line in text.splitlines()
        if secret.search(line) and not HARMLESS.match(line)
    ]
