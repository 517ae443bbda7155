"""docs/development.md lists every room, and every file that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/development.md").read_text()
TREE = PAGE.partition("## The tree")[2].partition("## Words")[0]
PACKAGES = (
    "ibkr",
    "ib_service",
    "images/keepalive/ib_keepalive",
    "images/mcp/ib_mcp",
    "operator/ib_operator",
    "images/simulator/ib_simulator",
)


def rooms() -> list[str]:
    """Every folder of modules, and every folder of tests, by its path."""
    found = [
        module.parent.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for module in sorted((ROOT / package).rglob("__init__.py"))
    ]
    tests = (path for path in sorted((ROOT / "tests").iterdir()) if path.is_dir() and any(path.glob("*[!_].*")))
    return found + [path.relative_to(ROOT).as_posix() for path in tests if path.name != "__pycache__"]


def listed() -> set[str]:
    """The folders of the tree: one that is indented lies in the last one that is less so."""
    found: set[str] = set()
    above: list[tuple[int, str]] = []
    for line in TREE.partition("```\n")[2].partition("```")[0].splitlines():
        indent = len(line) - len(line.lstrip())
        if indent > 4:
            continue
        above = [(depth, path) for depth, path in above if depth < indent]
        names = re.match(r"\s*((?:[\w./-]+/ )*[\w./-]+/)(?:\s|$)", line)
        assert names, line
        parent = above[-1][1] if above else ""
        paths = [f"{parent}{name}" for name in names[1].split()]
        found |= {path.rstrip("/") for path in paths}
        above.append((indent, paths[-1]))
    return found


def test_every_room_has_a_line_in_the_tree() -> None:
    assert [room for room in rooms() if room not in listed()] == []


def test_every_line_of_the_tree_is_a_folder() -> None:
    assert [path for path in sorted(listed()) if not (ROOT / path).is_dir()] == []


def test_every_file_that_a_recipe_names_exists() -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|CHANGELOG\.md)`", PAGE.partition("## Recipes")[2])
    assert len(named) > 40
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_module_begins_with_a_sentence() -> None:
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    silent = [path for path in modules if path.name != "__init__.py" and not path.read_text().startswith('"""')]
    assert [path.relative_to(ROOT).as_posix() for path in silent] == []
