"""Regular expressions by RE2, which takes time in proportion to text and pattern, and a deadline for many texts."""

import time
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]  # it has no types

from app.domain.errors import RegexUnsupported

_MAX_MEMORY = 1 << 20
_KEPT = 64
_REMEMBERED = 20_000


@lru_cache(_KEPT)
def compiled(pattern: str) -> Any:
    """Raises RegexUnsupported, saying what RE2 does not know."""
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise RegexUnsupported(
            f"RE2 does not take this pattern ({reason}). It knows neither look-around nor references back: "
            "see https://github.com/google/re2/wiki/Syntax.",
            field="name_regex",
        ) from error


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
