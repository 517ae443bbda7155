"""JSON that others wrote: what is read, what is replaced, and what is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_service import strict_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip

ODD = [
    (b'{"a": NaN, "b": 1}', {"a": None, "b": 1}),
    (b"[Infinity, -Infinity, 2.5]", [None, None, 2.5]),
    (b"[1e999, -1E+400, 1e308]", [None, None, 1e308]),
    (b"[" + b"9" * 400 + b", 7]", [None, 7]),
    (b"[" + b"9" * 5000 + b", 7]", [None, 7]),
    (rb'"a\ud800b"', "a�b"),
    (rb'"\udc00\ud83d\ude00"', "�😀"),
    (b'"a\xffb"', "a�b"),
    (b'"NaN \\ud800 Infinity"', "NaN � Infinity"),
]


@pytest.mark.parametrize(("content", "value"), ODD)
def test_what_is_no_figure_or_character_is_replaced_and_the_rest_kept(content: bytes, value: Any) -> None:
    assert strict_json.load_cleaned(content) == value
    assert json.loads(strict_json.clean(content)) == value


@pytest.mark.parametrize("content", [content for content, _ in ODD])
def test_a_strict_reader_refuses_it(content: bytes) -> None:
    with pytest.raises(ValueError):
        strict_json.load(content)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 900 + b"]" * 900,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b"[" * 100_000,
        b'{"a":[' * 100_000,
        b"[" * 65 + b"]" * 65,
        b"",
        b"{",
        b"'a'",
        b"01",
        b"-",
        b'"' + b"\\" * 10_001,
        b"\xff",
        b"\x00",
        b"[NaNa]",
    ],
    ids=lambda content: f"{content[:6]!r} {len(content)}",
)
def test_what_is_no_json_or_too_deep_is_a_value_error(content: bytes) -> None:
    for read in (strict_json.load, strict_json.load_cleaned):
        with pytest.raises(ValueError):
            read(content)


def test_brackets_in_texts_are_no_nesting() -> None:
    value = {"a": "[{" * 900, "b": ["]"] * 100, "c": '"[' * 100}
    assert strict_json.load(json.dumps(value).encode()) == value
    assert strict_json.load(b"[" * 64 + b"]" * 64)


def test_digits_that_a_float_cannot_hold_are_kept_for_who_asks_for_them() -> None:
    content = b'{"a": 0.1234567890123456789012345678901234567890, "b": NaN}'
    assert strict_json.clean(content) == content.replace(b"NaN", b"null")
    assert strict_json.load_cleaned(content, parse_float=str)["a"] == "0.1234567890123456789012345678901234567890"


@given(VALUES)
def test_usual_json_is_read_as_everybody_reads_it(value: Any) -> None:
    for content in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False).encode()):
        assert strict_json.load_cleaned(content) == json.loads(content)
        assert strict_json.load(strict_json.clean(content)) == value


@given(st.binary() | st.lists(st.sampled_from([b'"', b"\\u", b"d8", b"00", b"NaN", b"1e999", b"[", b"]", b"{", b":"]))
       .map(b"".join))  # fmt: skip
def test_no_bytes_at_all_give_more_than_a_value_error(content: bytes) -> None:
    try:
        value = strict_json.load_cleaned(content)
    except ValueError:
        return
    json.dumps(value, allow_nan=False).encode()
    assert not isinstance(value, float) or math.isfinite(value)
