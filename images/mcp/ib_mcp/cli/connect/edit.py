"""Puts one server into an agent's file; everything else in it stays, comments of JSON and TOML too."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from typing import Any


class CannotEdit(Exception):
    """The file is not what it should be; the message says what it is."""


def put_json(text: str, within: str, name: str, entry: dict[str, Any]) -> str:
    """``text`` (JSON, with comments and trailing commas if it likes) with ``entry`` at ``within.name``."""
    if not text.strip():
        return json.dumps({within: {name: entry}}, indent=2) + "\n"
    top = _object(text, _after_blanks(text, 0))
    servers = top.members.get(within)
    if servers is None:
        return _put(text, top, within, {name: entry}, 1)
    inner = _object(text, servers[0])
    return _put(text, inner, name, entry, 2)


def put_toml(text: str, within: str, name: str, table: str) -> str:
    """``text`` with ``table`` in place of the table ``within.name`` and those below it, or at its end."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotEdit(f"it is no TOML: {error}") from error
    header = re.compile(rf"\s*\[\[?\s*{within}\s*\.\s*\"?{name}\"?\s*[.\]]")
    kept: list[str] = []
    at, skipping = None, False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            skipping = bool(header.match(line))
            at = len(kept) if skipping and at is None else at
        if not skipping:
            kept.append(line)
    if at is None:
        before = text if text.endswith("\n") or not text else text + "\n"
        found = before + ("\n" if before else "") + table
    else:
        found = "".join([*kept[:at], table, *(["\n"] if kept[at:] else []), *kept[at:]])
    try:
        tomllib.loads(found)
    except tomllib.TOMLDecodeError as error:
        raise CannotEdit(f"it names {within} in a way that cannot be edited") from error
    return found


@dataclass(frozen=True)
class _Object:
    """``members``: where each value starts and ends; ``inside``: where its first one would be; ``end``: its brace."""

    members: dict[str, tuple[int, int]]
    inside: int
    end: int


def _put(text: str, place: _Object, name: str, value: Any, depth: int) -> str:
    pad = "  " * depth
    written = json.dumps(value, indent=2).replace("\n", "\n" + pad)
    if name in place.members:
        start, end = place.members[name]
        return text[:start] + written + text[end:]
    member = f"\n{pad}{json.dumps(name)}: {written}"
    # At the front: no comma of others has to be looked for.
    comma = "," if place.members else ""
    rest = text[place.inside :]
    return text[: place.inside] + member + comma + (rest if rest[:1] == "\n" else "\n" + pad[2:] + rest.lstrip(" "))


def _after_blanks(text: str, at: int) -> int:
    """Past white space and comments."""
    while at < len(text):
        if text[at].isspace() or text[at] == "\ufeff":
            at += 1
        elif text.startswith("//", at):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif text.startswith("/*", at):
            end = text.find("*/", at)
            if end < 0:
                raise CannotEdit("a comment has no end")
            at = end + 2
        else:
            break
    return at


def _object(text: str, at: int) -> _Object:
    if text[at : at + 1] != "{":
        raise CannotEdit("there is something else where an object should be")
    inside, at = at + 1, _after_blanks(text, at + 1)
    members: dict[str, tuple[int, int]] = {}
    while text[at : at + 1] != "}":
        end = _value(text, at)
        try:
            name = json.loads(text[at:end])
        except ValueError:
            name = None
        colon = _after_blanks(text, end)
        if not isinstance(name, str) or text[colon : colon + 1] != ":":
            raise CannotEdit(f"it is no JSON near character {at}")
        start = _after_blanks(text, colon + 1)
        end = _value(text, start)
        members[name] = (start, end)
        at = _after_blanks(text, end)
        if text[at : at + 1] == ",":
            at = _after_blanks(text, at + 1)
        elif text[at : at + 1] != "}":
            raise CannotEdit(f"it is no JSON near character {at}")
    return _Object(members, inside, at)


def _value(text: str, at: int) -> int:
    """The end of the value that starts at ``at``."""
    if text[at : at + 1] == '"':
        found = re.compile(r'"(?:[^"\\\n]|\\.)*"').match(text, at)
        if found is None:
            raise CannotEdit(f"a string near character {at} has no end")
        return found.end()
    if text[at : at + 1] == "{":
        return _object(text, at).end + 1
    if text[at : at + 1] == "[":
        at = _after_blanks(text, at + 1)
        while text[at : at + 1] != "]":
            at = _after_blanks(text, _value(text, at))
            if text[at : at + 1] == ",":
                at = _after_blanks(text, at + 1)
            elif text[at : at + 1] != "]":
                raise CannotEdit(f"it is no JSON near character {at}")
        return at + 1
    found = re.compile(r"[-+.\w]+").match(text, at)
    if found is None:
        raise CannotEdit(f"it is no JSON near character {at}")
    return found.end()
