"""The owner's word about trading: a TOML file, read anew whenever it is needed, and what is wrong with it.

Whatever cannot be read, or is not understood to the last key, keeps trading off.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

Mode = Literal["off", "preview", "paper", "live"]
Approval = Literal["ask", "page", "none"]
Side = Literal["BUY", "SELL"]

_LARGEST = 64 * 1024
_TABLE = re.compile(r"\s*\[\s*([A-Za-z_.]+)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z_]+)\s*=")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _is_filled(value: object) -> object:
    if isinstance(value, (list, tuple)) and not value:
        raise ValueError("is empty, which would permit nothing: name what is permitted, or leave it out")
    return value


_Account = Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,3}[0-9]{4,12}[A-Z]?$", max_length=20)]
_Word = Annotated[str, BeforeValidator(_upper), StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=20)]
_Symbol = Annotated[str, BeforeValidator(_upper), StringConstraints(pattern=r"^\S+( \S+)*$", max_length=40)]
_Question = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,3}[0-9]{1,6}$")]
_Number = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
_Count = Annotated[int, Field(ge=1, strict=True)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Limits(_Closed):
    """None: not limited; no ``accounts``: all of the mode. Money is in the account's base currency."""

    accounts: tuple[_Account, ...] = ()
    symbols: Annotated[tuple[_Symbol, ...], BeforeValidator(_is_filled)] | None = None
    security_types: Annotated[tuple[_Word, ...], BeforeValidator(_is_filled)] | None = None
    order_types: Annotated[tuple[_Word, ...], BeforeValidator(_is_filled)] | None = None
    times_in_force: Annotated[tuple[_Word, ...], BeforeValidator(_is_filled)] | None = None
    sides: Annotated[tuple[Side, ...], BeforeValidator(_is_filled)] | None = None
    short_selling: Annotated[bool, Field(strict=True)] = False
    naked_options: Annotated[bool, Field(strict=True)] = False
    quantity: _Number | None = None
    notional: _Number | None = None
    notional_per_day: _Number | None = None
    orders_per_minute: _Count | None = None
    orders_per_day: _Count | None = None
    price_distance_percent: _Number | None = None
    price_age_s: _Number = 60.0


class Live(_Closed):
    """The switches that ``mode = "live"`` needs besides."""

    accounts: tuple[_Account, ...] = ()
    without_approval: Annotated[bool, Field(strict=True)] = False


class _Body(_Closed):
    writes: Annotated[bool, Field(strict=True)] | None = None
    mode: Mode = "off"
    approval: Approval = "ask"
    questions: tuple[_Question, ...] = ()
    live: Live = Live()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _check_live(self) -> Self:
        if self.mode == "live" and not self.live.accounts:
            raise ValueError('mode = "live" needs the accounts that may trade named under [live] as accounts')
        if self.mode == "live" and self.approval == "none" and not self.live.without_approval:
            raise ValueError('mode = "live" with approval = "none" needs without_approval = true under [live]')
        return self


@dataclass(frozen=True, slots=True)
class Policy:
    """``questions``: ids of IBKR's questions that are answered yes. ``problem``: why trading is off although it is not
    meant to be, with the place in the file. ``version`` changes with the file's content. ``writes``: whether callers
    may change what IBKR keeps and is no order; None where the file leaves it open.
    """

    mode: Mode = "off"
    approval: Approval = "ask"
    questions: tuple[str, ...] = ()
    live: Live = field(default_factory=Live)
    limits: Limits = field(default_factory=Limits)
    problem: str | None = None
    version: str = ""
    writes: bool | None = None


class PolicyFile:
    """The file at ``path``; without one trading is off."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._content: bytes | None = None
        self._policy = Policy()

    def current(self) -> Policy:
        """The policy as the file stands at this moment. It is a page long and read as a whole: a look at its time of
        change would miss two changes in a row.
        """
        if self._path is None:
            return self._policy
        try:
            with self._path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except OSError as error:
            self._content = None
            return Policy(
                problem=f"The trading policy {self._path.name} cannot be read: {error.strerror}.", writes=False
            )
        if content != self._content:
            self._policy = parse(content, self._path.name)
            self._content = content
        return self._policy


class WriteSwitch:
    """Whether callers may change what IBKR keeps for the user and is no order.

    ``otherwise``: what counts where ``file`` says nothing of it.
    """

    def __init__(self, file: PolicyFile, otherwise: bool) -> None:
        self._file = file
        self._otherwise = otherwise

    def __call__(self) -> str | None:
        """None if they may, else what has to be done first."""
        now = self._file.current()
        if self._otherwise if now.writes is None else now.writes:
            return None
        if now.problem is not None:
            return f"Ask the owner. {now.problem}"
        return "Ask the owner to permit it with ALLOW_WRITES, or change it in Client Portal or TWS."


def parse(content: bytes, name: str = "policy.toml") -> Policy:
    """The policy that a file says, or trading off with the line and field that is wrong."""
    version = hashlib.sha256(content).hexdigest()[:12]

    def broken(why: str) -> Policy:
        return Policy(problem=f"The trading policy {name} is broken: {why}.", version=version, writes=False)

    if len(content) > _LARGEST:
        return broken(f"it is larger than {_LARGEST // 1024} KiB")
    try:
        text = content.decode("utf-8")
        body = _Body.model_validate(tomllib.loads(text))
    except UnicodeDecodeError as error:
        return broken(f"line {content.count(bytes([10]), 0, error.start) + 1} is not UTF-8")
    except tomllib.TOMLDecodeError as error:
        return broken(f"it is not TOML: {error}")
    except (ValidationError, RecursionError) as error:
        return broken("; ".join(_problems(error, text)) if isinstance(error, ValidationError) else "nested too deeply")
    return Policy(body.mode, body.approval, body.questions, body.live, body.limits, None, version, body.writes)


def _problems(error: ValidationError, text: str) -> list[str]:
    found: dict[tuple[str, ...], str] = {}
    for each in error.errors(include_url=False, include_input=False):
        # The place of a list's element is the list.
        place = tuple(part for part in each["loc"] if isinstance(part, str) and not part.startswith("function-"))
        found.setdefault(place, _in_words(each))
    return [f"{_where(place, text)}{why}" for place, why in found.items()][:5]


def _in_words(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not a key that is known here"
        case "value_error":
            return str(error["ctx"]["error"])
        case "model_type":
            return "is a value where a table belongs"
        case "tuple_type":
            return "has to be a list, in brackets"
        case _:
            message: str = error["msg"]
            return message[:1].lower() + message[1:]


def _where(place: tuple[str, ...], text: str) -> str:
    if not place:
        return ""
    line = _line_of(place, text)
    return f"line {line}, {'.'.join(place)}: " if line else f"{'.'.join(place)}: "


def _line_of(place: tuple[str, ...], text: str) -> int | None:
    """The line on which a key, or its table, begins."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if found := _TABLE.match(line):
            table = tuple(found[1].split("."))
            if table == place:
                return number
        elif (found := _KEY.match(line)) and (*table, found[1]) == place[: len(table) + 1]:
            return number
    return None
