"""Finding operations of the catalogue by words, for find_endpoint and the command line."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from ibkr.operation import Operation

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_FILLERS = frozenset(
    _WORD.findall(
        "a all an and by can do for from get how i in is it list me my of on or set show the their to what with"
    )
)
_BEGINNING = 0.6
_UNSUPPORTED = 0.4
_MOST_WORDS = 20


class Index:
    """The words of every operation, weighted: the id's most, then title and tags, then path and parameters."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._rows = [(operation, _weights(operation)) for operation in operations]
        self._spread = Counter(word for _, weights in self._rows for word in weights)

    def search(self, words: str) -> list[Operation]:
        """Operations that share a word with ``words``, best first; rare words count more than common ones.

        A word also matches those that it begins. Equal ones keep the order of the catalogue. No match is an empty list.
        Words after the twentieth are passed over.
        """
        asked = dict.fromkeys(islice(_words(words.replace("&", "n")), _MOST_WORDS))
        scored = [(self._score(asked, operation, weights), operation) for operation, weights in self._rows]
        return [operation for score, operation in sorted(scored, key=lambda row: -row[0]) if score > 0]

    def _score(self, asked: Iterable[str], operation: Operation, weights: dict[str, float]) -> float:
        total = sum(max(self._hits(word, weights), default=0.0) for word in asked)
        return total * (_UNSUPPORTED if operation.status == "unsupported" else 1)

    def _hits(self, word: str, weights: dict[str, float]) -> Iterator[float]:
        for known, weight in weights.items():
            if known == word or (len(word) > 2 and known.startswith(word)):
                rarity = 1 + math.log(len(self._rows) / self._spread[known])
                yield weight * rarity * (1 if known == word else _BEGINNING)


def _weights(operation: Operation) -> dict[str, float]:
    weights: dict[str, float] = {}
    parameters = " ".join(parameter.name for parameter in (*operation.query, *operation.body))
    for weight, text in (
        (1.0, f"{operation.path} {parameters}"),
        (2.0, " ".join((operation.title, *operation.tags))),
        (3.0, operation.id),
    ):
        weights.update(dict.fromkeys(_words(text), weight))
    return weights


def _words(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        singular = _singular(word.lower())
        if singular not in _FILLERS:
            yield singular


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
