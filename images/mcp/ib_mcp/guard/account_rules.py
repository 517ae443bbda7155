"""What an agent limited to some accounts may see of an answer, by the catalogue's column ``accounts``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Owns = Callable[[str], bool]
"""Whether a name (id or alias) is that of an account the agent may see."""


class NotForSome(Exception):
    """The answer tells of accounts and cannot be cut to some of them."""


def cut(rule: str, body: Any, owns: Owns) -> Any:
    """``body`` without what it tells of other accounts. NotForSome where no part of it can be shown."""
    rule, _, without = rule.partition(" without ")
    kind, *words = rule.split()
    match kind:
        case "none" | "named":
            found = body
        case "rows":
            found = _rows(words, body, owns)
        case "keys":
            found = _keys(words, body, owns)
        case "object":
            found = _object(words, body, owns)
        case "only":
            found = _only(words, body, owns)
        case "lists":
            found = _lists(frozenset(words), body, owns)
        case _:
            raise NotForSome
    return _without(frozenset(without.split()), found) if without else found


def tells_of(body: Any, strangers: frozenset[str]) -> bool:
    """Whether a name of ``strangers`` stands anywhere in ``body``."""
    if isinstance(body, str):
        return any(stranger in body for stranger in strangers)
    if isinstance(body, dict):
        return any(tells_of(key, strangers) or tells_of(value, strangers) for key, value in body.items())
    return isinstance(body, list) and any(tells_of(value, strangers) for value in body)


def _rows(words: list[str], body: Any, owns: Owns) -> Any:
    """``FIELD: KEY KEY``: rows in a field (of an object that tells nothing else), or of the list that the answer is."""
    if words[0].endswith(":"):
        field = words[0].removesuffix(":")
        if not isinstance(body, dict):
            return _empty(body)
        plain = {name: value for name, value in body.items() if not isinstance(value, list | dict)}
        return plain | {field: _rows(words[1:], body.get(field), owns)}
    if not isinstance(body, list):
        return _empty(body)
    return [row for row in body if isinstance(row, dict) and _is_of(row, words, owns)]


def _is_of(row: dict[str, Any], keys: list[str], owns: Owns) -> bool:
    """Whether every name of an account in ``row`` is one of the agent's, and there is one."""
    names = [str(row[key]) for key in keys if row.get(key)]
    return bool(names) and all(map(owns, names))


def _keys(words: list[str], body: Any, owns: Owns) -> Any:
    """Objects by account, in a field if one is given; a key may go on after a dot."""
    if not isinstance(body, dict):
        return _empty(body)
    if words:
        (field,) = words
        return {field: _keys([], body.get(field), owns)}
    return {key: value for key, value in body.items() if owns(key.partition(".")[0])}


def _object(words: list[str], body: Any, owns: Owns) -> Any:
    """One object, of one account."""
    if isinstance(body, dict) and not _is_of(body, words, owns):
        raise NotForSome
    return body if isinstance(body, dict) else _empty(body)


def _only(fields: list[str], body: Any, owns: Owns) -> Any:
    """These fields alone: a name, a list of names, or an object by name."""
    if not isinstance(body, dict):
        return _empty(body)
    found: dict[str, Any] = {}
    for field in fields:
        value = body.get(field)
        if isinstance(value, str) and owns(value):
            found[field] = value
        elif isinstance(value, list):
            found[field] = [one for one in value if isinstance(one, str) and owns(one)]
        elif isinstance(value, dict):
            found[field] = _keys([], value, owns)
    return found


def _lists(fields: frozenset[str], body: Any, owns: Owns) -> Any:
    """Everything, with the names in the lists of these fields cut, however deep."""
    if isinstance(body, list):
        return [_lists(fields, one, owns) for one in body]
    if not isinstance(body, dict):
        return body
    return {
        key: [one for one in value if isinstance(one, str) and owns(one)]
        if key in fields and isinstance(value, list)
        else _lists(fields, value, owns)
        for key, value in body.items()
    }


def _without(fields: frozenset[str], body: Any) -> Any:
    if isinstance(body, list):
        return [_without(fields, one) for one in body]
    if not isinstance(body, dict):
        return body
    return {key: _without(fields, value) for key, value in body.items() if key not in fields}


def _empty(body: Any) -> Any:
    """An answer of another shape than the rule is for may tell anything."""
    if body is None or body == [] or body == {}:
        return body
    raise NotForSome
