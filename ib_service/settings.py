"""Reading a part's settings class from the environment, with every problem named at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

Settings = TypeVar("Settings", bound=BaseSettings)


def read(kind: type[Settings], **given: object) -> Settings:
    """An instance of ``kind`` from the environment, ``given`` wins over it.

    For a field ``X`` the variable ``PREFIX_X_FILE`` names a file that holds the value. Missing or wrong settings
    are listed together on stderr and end the process with exit code 2.
    """
    prefix = kind.model_config.get("env_prefix", "")
    problems: dict[str, str] = {}
    for field in kind.model_fields:
        name = f"{prefix}{field}_file".upper()
        path = os.environ.get(name)
        if path is None or field in given or f"{field}_file" in kind.model_fields:
            continue
        try:
            given[field] = _content(Path(path))
        except ValueError as error:
            problems[field] = f"{name}: {error}"
    try:
        settings = kind(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            field = "_".join(str(part) for part in problem["loc"])
            fault = "is missing" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
            # A file that cannot be read leaves its field without a value, which is no second problem.
            problems.setdefault(field, f"{prefix}{field}".upper() + f": {fault}")
    except SettingsError as error:
        problems["source"] = str(error)
    else:
        if not problems:
            return settings
    sys.stderr.write("\n".join(["Settings are missing or wrong:", *(f"  {one}" for one in problems.values()), ""]))
    raise SystemExit(2)


def _content(path: Path) -> str:
    """What stands in the file of a setting; ValueError says in words why there is nothing."""
    try:
        text = path.read_text("utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text") from error
    if not text:
        raise ValueError(f"{path} is empty")
    return text
