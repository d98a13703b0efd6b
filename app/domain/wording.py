"""Values in words: numbers, times, lists and texts as people read them, each fit for one line."""

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import TypeGuard

LONGEST_LINE = 500
IN_LINES = 20  # values of a list that stand where there is room
IN_LINE = 3

_MOST_PARTS = 10
_DEEPEST = 2
_WHOLE_FROM = 10_000
_POWERS_FROM = 1e15
# Whatever ends a line or turns its direction anywhere: control characters, separators, marks of direction.
_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def in_words(value: object, *, shown: int = IN_LINES) -> str:
    """Any JSON; of long lists the first few, of deep ones the outside."""
    return _in_words(value, shown=shown, depth=0)


def counted(values: list[object], noun: str, *, shown: int) -> str:
    """`10 results: 5, 5, 5, …`."""
    if not values:
        return f"no {noun}s"
    return f"{len(values):,} {noun}{'s' if len(values) > 1 else ''}: {_row(values, shown=shown, depth=0)}"


def pairs(fields: Mapping[str, object], *, shown: int = IN_LINE) -> Iterable[str]:
    """`gradient norm 2.1e-09`, each."""
    return (f"{named(name)} {in_words(value, shown=shown)}" for name, value in fields.items())


def some(parts: Iterable[str], between: str, *, most: int = _MOST_PARTS) -> str:
    """The first few in one line."""
    first = [*islice(parts, most + 1)]
    return between.join(first if len(first) <= most else [*first[:most], "…"])


def number(value: float) -> str:
    """Four digits that count; a large one whole, with its thousands apart."""
    size = abs(value)
    if size > sys.float_info.max:
        return "a number beyond measure"
    if size >= _POWERS_FROM:
        return f"{float(value):.4g}"
    if size >= _WHOLE_FROM:
        return f"{value:,.0f}"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def percent(value: float) -> str:
    """`10.04%`."""
    return f"{value:.2f}%" if abs(value) < _WHOLE_FROM else f"{number(value)}%"


def moment(value: object) -> str | None:
    """Seconds since 1970 as a time. None: they are none."""
    if not is_number(value):
        return None
    try:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, OSError, ValueError):
        return None


def is_number(value: object) -> TypeGuard[float]:
    """Whether it counts or measures something."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def named(field: str) -> str:
    """A field's name, as one says it."""
    return one_line(field.replace("_", " "))


def begun(text: str) -> str:
    """With a capital letter, as a sentence begins."""
    return text[:1].upper() + text[1:]


def one_line(text: str) -> str:
    """In one line of bounded length."""
    line = _BREAKING.sub(" ", text[: 2 * LONGEST_LINE]).strip()
    is_whole = len(text) <= 2 * LONGEST_LINE and len(line) <= LONGEST_LINE
    return line if is_whole else f"{line[: LONGEST_LINE - 1]}…"


def _in_words(value: object, *, shown: int, depth: int) -> str:
    if isinstance(value, str):
        return one_line(value)
    if is_number(value):
        return number(value)
    if isinstance(value, list | dict) and depth >= _DEEPEST:
        return "…"
    if isinstance(value, list):
        return f"({_row(value, shown=shown, depth=depth)})" if depth else counted(value, "value", shown=shown)
    if isinstance(value, dict):
        parts = (f"{named(name)} {_in_words(one, shown=shown, depth=depth + 1)}" for name, one in value.items())
        return f"({some(parts, ', ')})"
    return "none" if value is None else "yes" if value else "no"


def _row(values: list[object], *, shown: int, depth: int) -> str:
    """One after the other; a row of a single value is that value."""
    single = (one[0] if isinstance(one, list) and len(one) == 1 else one for one in values)
    return some((_in_words(one, shown=shown, depth=depth + 1) for one in single), ", ", most=shown)
