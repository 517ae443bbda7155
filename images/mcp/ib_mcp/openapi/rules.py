"""The rules of the repair: what each finds and does. ``report`` counts by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["error", "gap", "loss"]
"""``error``: validators refuse it; ``gap``: permitted, but tools cannot use it so; ``loss``: it could not be kept."""

Place = tuple[str | int, ...]


class Rule(NamedTuple):
    """``guess``: the document does not say what was meant."""

    kind: Kind
    says: str
    guess: bool = False


RULES: dict[str, Rule] = {
    # the document
    "version-unclear": Rule("error", "No OpenAPI version that is known; read as 3.1", guess=True),
    "version-old": Rule("gap", "Swagger 2.0; written as OpenAPI 3, and all places are those of that"),
    "info-incomplete": Rule("error", "Title or version is missing; filled in", guess=True),
    "key-repeated": Rule("error", "An object has a key twice; both are put together, else the last counts", guess=True),
    "text-broken": Rule("error", "A text with half a character (a lone surrogate); U+FFFD in its place"),
    "key-unknown": Rule("error", "A key that OpenAPI does not know here, or that is not read; left out"),
    "kind-wrong": Rule("error", "A value of another kind than OpenAPI wants; left out, or replaced by an empty one"),
    "text-expected": Rule("error", "A number or flag where a text belongs; written as text"),
    "number-expected": Rule("error", "A text where a number or flag belongs; read as what it says"),
    "name-invalid": Rule("error", "A component's name with signs that are not allowed; renamed with its references"),
    "tag-repeated": Rule("error", "A tag is described twice, or has no name; the first counts"),
    "server-incomplete": Rule("error", "A server without an address; left out"),
    # references
    "reference-dangling": Rule("error", "A reference to nothing; anything is allowed there", guess=True),
    "reference-elsewhere": Rule("error", "A reference out of the document; anything is allowed there", guess=True),
    "reference-circular": Rule("error", "References that lead to each other only; anything is allowed", guess=True),
    "reference-inside": Rule("gap", "A reference into the middle of the document; its target became a component"),
    "reference-siblings": Rule("error", "Keys beside a reference; left out, as OpenAPI 3.0 says"),
    # paths and operations
    "path-without-slash": Rule("error", "A path that does not begin with a slash; one was put before it", guess=True),
    "path-repeated": Rule("error", "Two paths that differ in names of variables only; put together"),
    "method-spelling": Rule("error", "A method in capitals; written small"),
    "operation-empty": Rule("error", "An operation that is no object; kept without parameters", guess=True),
    "operation-lost": Rule("loss", "An operation that had to be left out"),
    "callback-left-out": Rule("loss", "Operations that the API calls at its caller's; left out"),
    "operation-without-id": Rule("gap", "An operation without operationId; named after method and path", guess=True),
    "operation-id-repeated": Rule("error", "An operationId that another operation has; numbered", guess=True),
    "operation-id-invalid": Rule("gap", "An operationId with signs that names of tools cannot have; replaced"),
    "security-invalid": Rule("error", "A requirement of a scheme that is not declared, or a scope that is no text"),
    "security-scheme-incomplete": Rule("error", "A security scheme without what its type needs; left out"),
    # parameters
    "parameter-incomplete": Rule("loss", "A parameter without name or place; left out"),
    "parameter-repeated": Rule("error", "A parameter is given twice in one place; the first counts"),
    "parameter-spelling": Rule("error", "A path parameter that the path spells otherwise; named as in the path"),
    "parameter-not-in-path": Rule("error", "A path parameter that the path has not; put into the query", guess=True),
    "parameter-undeclared": Rule("error", "A variable of the path that is declared nowhere; a text", guess=True),
    "parameter-optional-in-path": Rule("error", "A path parameter that is not required; required"),
    "parameter-without-schema": Rule("error", "A parameter without schema; a text", guess=True),
    "parameter-without-type": Rule("gap", "A parameter of no type; a text", guess=True),
    "parameter-style": Rule("error", "A style that its place does not have; left out"),
    # bodies and answers
    "body-without-content": Rule("error", "A body without content; JSON of any kind", guess=True),
    "body-unexpected": Rule("gap", "A body for a method that has none as a rule; kept"),
    "responses-missing": Rule("error", "An operation without responses; a default one was added"),
    "response-code": Rule("error", "A response under something that is no status; called default", guess=True),
    "response-without-description": Rule("error", "A response without description; an empty one was added"),
    "example-twice": Rule("error", "'example' beside 'examples'; the latter count"),
    # schemas
    "type-unknown": Rule("error", "A type that does not exist; the likely one, else none", guess=True),
    "type-of-enum": Rule("error", "Values of an enum that contradict its type; read as it, else without", guess=True),
    "enum-invalid": Rule("error", "An enum that is empty or repeats itself; mended"),
    "array-without-items": Rule("error", "An array without items; anything may be in it", guess=True),
    "items-as-list": Rule("error", "A list of items' schemas; any of them", guess=True),
    "object-without-type": Rule("gap", "Properties without type; an object"),
    "required-as-flag": Rule("error", "'required' as a flag of a property; moved to its object"),
    "required-invalid": Rule("error", "'required' is no list of distinct names; mended"),
    "required-unknown": Rule("gap", "'required' names a property that is not there; taken off the list", guess=True),
    "format-against-type": Rule("gap", "A format that contradicts the type; left out"),
    "default-invalid": Rule("error", "A default that its schema forbids, or seems to; left out"),
    "composition-empty": Rule("error", "allOf, anyOf or oneOf without schemas; mended or left out", guess=True),
}  # fmt: skip


class Finding(NamedTuple):
    """``rule`` was needed at ``place``, a JSON pointer into the document as it was written."""

    rule: str
    place: str
    detail: str


@dataclass(slots=True)
class Findings:
    """Everything that was found, in the order of the walk."""

    rows: list[Finding] = field(default_factory=list)

    def note(self, rule: str, at: Place, detail: object = "") -> None:
        """``rule`` (a key of ``RULES``) was needed at ``at``."""
        RULES[rule]
        text = str(detail)
        self.rows.append(Finding(rule, pointer(at), text if len(text) <= 120 else text[:117] + "..."))


def pointer(at: Iterable[str | int]) -> str:
    """The JSON pointer of a place."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in at)
