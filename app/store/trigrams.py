"""Which sequences of three characters a name must hold for a pattern to be found in it, as far as that is easily seen.

What is found by them is looked at by RE2 itself: they may say too little, never too much.
"""

import re
from collections.abc import Iterable, Sequence

_LENGTH = 3
_AT_MOST = 16
# Escapes that stand for one character, or for none, and have nothing behind them that belongs to them.
_SHORT_ESCAPES = frozenset("dDsSwWbBAzafnrtv")
_REPEATED = re.compile(r"\{\d+(,\d*)?\}")
_GROUP = re.compile(r"\((\?(:|P?<\w+>)|(?!\?))")
_CLASS = re.compile(r"\[\^?\]?(\[:\^?\w+:\]|\\[\s\S]|[^\]\\])*\]")
_CASELESS = "(?i)"
# Where case is ignored, these are also found as signs of other alphabets.
_OF_OTHERS = frozenset("kKsS")


class _NotSeen(Exception):
    """Of what is understood here it is not."""


def query_of(pattern: str) -> str | None:
    """For FTS5: what the name of everything that fits is found by. None: that is not seen."""
    caseless = pattern.startswith(_CASELESS)
    try:
        alternatives = [_trigrams(runs, caseless=caseless) for runs in _alternatives(pattern[4 if caseless else 0 :])]
    except _NotSeen:
        return None
    if not all(alternatives):
        return None
    return " OR ".join(f"({' AND '.join(map(_quoted, one))})" for one in alternatives)


def _trigrams(runs: Iterable[str], *, caseless: bool) -> Sequence[str]:
    found = (run[at : at + _LENGTH] for run in runs for at in range(len(run) - _LENGTH + 1))
    usable = [one for one in found if "\0" not in one and not (caseless and _is_of_others(one))]
    return list(dict.fromkeys(usable))[:_AT_MOST]


def _is_of_others(text: str) -> bool:
    return not text.isascii() or not _OF_OTHERS.isdisjoint(text)


def _alternatives(pattern: str) -> list[list[str]]:
    """The runs of characters that stand for themselves, in each of what `|` parts."""
    alternatives = [[""]]
    at = 0
    while at < len(pattern):
        runs = alternatives[-1]
        if pattern[at] == "|":
            alternatives.append([""])
            at += 1
        elif (literal := _literal(pattern, at)) is not None:
            runs[-1] += literal
            at += 2 if pattern[at] == "\\" else 1
        else:
            if _may_be_absent(pattern, at):
                runs[-1] = runs[-1][:-1]
            runs.append("")
            at += _sign(pattern, at)
    return alternatives


def _literal(pattern: str, at: int) -> str | None:
    """The character that stands here for itself. None: there is none."""
    if pattern[at] == "\\":
        escaped = pattern[at + 1 : at + 2]
        return escaped if escaped and escaped.isascii() and not escaped.isalnum() else None
    if pattern[at] == "{":
        return None if _REPEATED.match(pattern, at) else "{"
    return None if pattern[at] in "[]().*+?^$|\\" else pattern[at]


def _may_be_absent(pattern: str, at: int) -> bool:
    """Whether what stands before this need not be there."""
    return pattern[at] in "*?{"


def _sign(pattern: str, at: int) -> int:
    """How long the sign is that stands for something else than itself."""
    match pattern[at]:
        case "\\" if pattern[at + 1 : at + 2] in _SHORT_ESCAPES:
            return 2
        case "[":
            return _length(_CLASS.match(pattern, at))
        case "(":
            return _group(pattern, at)
        case "{":
            return _length(_REPEATED.match(pattern, at))
        case "." | "*" | "+" | "?" | "^" | "$":
            return 1
    raise _NotSeen


def _group(pattern: str, start: int) -> int:
    """How long a group is; what is in it is not looked at."""
    at, depth = start, 0
    while True:
        match pattern[at : at + 1]:
            case "(":
                at += _length(_GROUP.match(pattern, at))
                depth += 1
            case ")":
                at += 1
                depth -= 1
            case "[":
                at += _length(_CLASS.match(pattern, at))
            case "\\" if pattern[at + 1 : at + 2] != "Q":
                at += 2
            case "" | "\\":
                raise _NotSeen
            case _:
                at += 1
        if depth == 0:
            return at - start


def _length(found: re.Match[str] | None) -> int:
    if found is None:
        raise _NotSeen
    return found.end() - found.start()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
