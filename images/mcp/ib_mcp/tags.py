"""Which tools and operations the owner wants: by IBKR's tags of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from ibkr.operation import TAGS

GENERAL = "Endpoints"
"""The tag of the tools that reach every operation; an operation's own tags count there too."""

KNOWN = (*TAGS, GENERAL)


def known_tag(name: str) -> str:
    """``name`` in the catalogue's spelling; ValueError lists the tags that there are."""
    for tag in KNOWN:
        if tag.casefold() == name.strip().casefold():
            return tag
    raise ValueError(f"there is no tag {name.strip()!r}; the tags are {', '.join(KNOWN)}")


def is_wanted(tags: Iterable[str], included: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    """Whether something with ``tags`` is to be offered; nothing included means all, excluded wins."""
    own = set(tags)
    return own.isdisjoint(excluded) and (not included or not own.isdisjoint(included))
