"""Regular expressions by RE2, which takes time in proportion to text and pattern, and a deadline for many texts."""

import re
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]  # it has no types

from app.domain.errors import RegexUnsupported

_MAX_MEMORY = 1 << 20
_KEPT = 64
_REMEMBERED = 20_000
# What means the ends of the whole text even where lines have their own, one byte of many, and what would end these lines.
_NOT_BY_LINES = re.compile(r"\\[AzC]|\(\?[A-Za-z]*-")


@lru_cache(_KEPT)
def compiled(pattern: str) -> Any:
    """Raises RegexUnsupported, saying what RE2 does not know."""
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise RegexUnsupported(
            f"RE2 does not take this pattern ({reason}). It knows neither look-around nor references back: "
            "see https://github.com/google/re2/wiki/Syntax.",
            field="name_regex",
        ) from error


def places_of(pattern: str, texts: Sequence[str]) -> Sequence[int]:
    """In which of the texts the pattern is found.

    They are looked at together, as lines: to be asked of one text after another takes RE2 longer than to look at it.
    """
    by_lines = None if any("\n" in text for text in texts) else _compiled_for_lines(pattern)
    if by_lines is not None and texts:
        return list(_lines_with(by_lines, "\n".join(texts).encode()))
    found = compiled(pattern).search
    return [place for place, text in enumerate(texts) if found(text)]


@lru_cache(_KEPT)
def _compiled_for_lines(pattern: str) -> Any:
    """That finds in a line what the pattern finds in a text. None: the pattern is not to be had so."""
    if _NOT_BY_LINES.search(pattern):
        return None
    options = _options()
    options.never_nl = True
    options.never_capture = True
    try:
        return re2.compile(f"(?m){pattern}", options)
    except re2.error:
        return None


def _lines_with(pattern: Any, text: bytes) -> Iterator[int]:
    """The numbers of the lines that it is found in."""
    number, begin = 0, 0
    while match := pattern.search(text, begin):
        number += text.count(b"\n", begin, match.start())
        yield number
        number, begin = number + 1, text.find(b"\n", match.start()) + 1
        if not begin:
            return


def _options() -> Any:
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    return options


def deadline(within_s: float) -> float:
    """Until when one query may look for a pattern."""
    return time.monotonic() + within_s


def is_past(deadline: float) -> bool:
    """Whether it may no longer."""
    return time.monotonic() > deadline


def _found(pattern: str, text: str, until: float) -> bool:
    if is_past(until):
        raise TimeoutError
    return _is_found(pattern, text)


@lru_cache(_REMEMBERED)
def _is_found(pattern: str, text: str) -> bool:
    """A feed looks at a name once for each event, and again after a time that was too short: it gets further then."""
    return compiled(pattern).search(text) is not None


# How SQL names it, how many arguments it takes, and what it is. Past the deadline it fails, and the query with it.
AS_FUNCTION = ("re2", 3, _found)
