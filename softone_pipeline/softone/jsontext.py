"""JSON taken apart by position, with every number kept as the text it was written in.

The slow, exact and tolerant reader, for bodies and invoices that the fast one refuses. Knows nothing of
invoices.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\n\r]*")


# A text, or a bracket outside of texts.
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)


class NestedTooDeeplyError(ValueError):
    """Python cannot follow so many brackets within brackets."""


class JsonNumber(str):
    """A number's text as written. `NaN` and `±Infinity` come as one too: no JSON, but some send them."""

    __slots__ = ()


class Span(NamedTuple):
    """One value and where it stands: `text[start:end]`."""

    value: Any
    start: int
    end: int


# strict=False: a raw tab or line feed inside a string is against the standard, but nothing is lost by
# reading it.
_DECODER = json.JSONDecoder(strict=False, parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=JsonNumber)


def parse(text: str) -> Any:
    """The value of a whole JSON text, numbers as JsonNumber.

    Raises ValueError when it is no JSON, NestedTooDeeplyError when it is nested deeper than Python can follow.
    """
    span = value_at(text, skip_space(text))
    expect_end(text, span.end)
    return span.value


def value_at(text: str, start: int) -> Span:
    """The value that begins at `start`. Raises ValueError when there is none, or NestedTooDeeplyError."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise NestedTooDeeplyError("it is nested too deeply") from None
    return Span(value, start, end)


def array_items(text: str, start: int = 0) -> tuple[list[Span], int]:
    """The elements of the array whose `[` stands at `start`, and the position behind its `]`.

    One that is nested too deeply hides no other: its value is None, and its text what its brackets enclose.
    """
    items: list[Span] = []
    position = skip_space(text, start + 1)
    if text.startswith("]", position):
        return items, position + 1
    while True:
        try:
            item = value_at(text, position)
        except NestedTooDeeplyError:
            item = Span(None, position, _behind_brackets(text, position))
        items.append(item)
        position, closed = _after_member(text, item.end, "]")
        if closed:
            return items, position


def object_items(text: str, start: int = 0) -> tuple[dict[str, Span], int]:
    """The members of the object whose `{` stands at `start`, and the position behind its `}`.

    Of a key that comes twice the last one counts, as everywhere else.
    """
    items: dict[str, Span] = {}
    position = skip_space(text, start + 1)
    if text.startswith("}", position):
        return items, position + 1
    while True:
        key = value_at(text, position)
        colon = skip_space(text, key.end)
        if not isinstance(key.value, str) or isinstance(key.value, JsonNumber) or text[colon : colon + 1] != ":":
            raise ValueError(f"a key is expected at character {position}")
        item = value_at(text, skip_space(text, colon + 1))
        items[key.value] = item
        position, closed = _after_member(text, item.end, "}")
        if closed:
            return items, position


def expect_end(text: str, position: int) -> None:
    """Raise ValueError unless only white space follows."""
    if skip_space(text, position) != len(text):
        raise ValueError(f"something follows the end of the JSON text at character {position}")


def skip_space(text: str, position: int = 0) -> int:
    """The next position that is not white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _behind_brackets(text: str, start: int) -> int:
    depth = 0
    for found in _BRACKET.finditer(text, start):
        depth += bool(found[1]) - bool(found[2])
        if depth == 0:
            return found.end()
    raise ValueError(f"the brackets are not closed that open at character {start}")


def _after_member(text: str, position: int, closing: str) -> tuple[int, bool]:
    """Step over `,` (to the next member) or over the closing bracket (True)."""
    position = skip_space(text, position)
    if text.startswith(closing, position):
        return position + 1, True
    if text.startswith(",", position):
        return skip_space(text, position + 1), False
    raise ValueError(f"',' or '{closing}' is expected at character {position}")
