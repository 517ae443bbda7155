"""Reading a part's settings class from the environment, with every problem named at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

Settings = TypeVar("Settings", bound=BaseSettings)


def read(kind: type[Settings], **given: object) -> Settings:
    """An instance of ``kind`` from the environment, ``given`` wins over it.

    For a field ``X`` the variable ``PREFIX_X_FILE`` names a file that holds the value. Missing or wrong settings
    are listed together on stderr and end the process with exit code 2.
    """
    prefix = kind.model_config.get("env_prefix", "")
    problems: list[str] = []
    for field in kind.model_fields:
        path = os.environ.get(f"{prefix}{field}_FILE".upper())
        if path is None or field in given or f"{field}_file" in kind.model_fields:
            continue
        try:
            given[field] = Path(path).read_text("utf-8").strip()
        except OSError as error:
            problems.append(f"{prefix}{field}_FILE: cannot read {path}: {error.strerror}".replace(field, field.upper()))
    try:
        settings = kind(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = f"{prefix}{'_'.join(str(part) for part in problem['loc'])}".upper()
            problems.append(f"{name}: {'is missing' if problem['type'] == 'missing' else problem['msg']}")
    else:
        if not problems:
            return settings
    sys.stderr.write("\n".join(["Settings are missing or wrong:", *(f"  {problem}" for problem in problems), ""]))
    raise SystemExit(2)
