"""Which sequences of three characters a name must hold for a pattern to be found in it, as far as that is easily seen.

What is found by them is looked at by RE2 itself: they may say too little, never too much. The way is that of R. Cox,
"Regular Expression Matching with a Trigram Index" (2012), for patterns without a look into groups: wherever in a pattern
one begins, the next three characters are amongst those that can follow one another there.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from math import inf
from typing import NamedTuple

_LENGTH = 3
# So many are demanded, of so many each that one of them suffices.
_AT_MOST, _ALTERNATIVES = 16, 16
# What is that much more usual than the rarest adds little to it but the way through its many rows.
_AS_GOOD = 4
_DIGITS = frozenset("0123456789")
# Escapes that stand for one character of many, and for none.
_ONE_OF_MANY, _BETWEEN = frozenset("DsSwWafnrtv"), frozenset("bBAz")
_REPEATED = re.compile(r"([*+?]|\{([0-9]+)(,([0-9]*))?\})(\??)")
_GROUP = re.compile(r"\((\?(:|P?<\w+>)|(?!\?))")
_CLASS = re.compile(r"\[\^?\]?(\[:\^?\w+:\]|\\[\s\S]|[^\]\\])*\]")
_SIMPLE_CLASS = re.compile(r"\[(?:\\d(?!-)|(?:\\[^\w\s]|[^\]\\^\[-])(?:-[^\]\\\[-])?)+\]")
_RANGE = re.compile(r"(\\?.)(?:-(.))?", re.DOTALL)
_HOW_OFTEN: dict[str, tuple[int, float]] = {"*": (0, inf), "+": (1, inf), "?": (0, 1)}
_CASELESS = "(?i)"
# Where case is ignored, these are also found as signs of other alphabets.
_OF_OTHERS = frozenset("kKsS")


class _NotSeen(Exception):
    """Of what is understood here it is not."""


class _Part(NamedTuple):
    """One of these characters (None: that is not seen), so many times."""

    chars: Collection[str] | None
    least: int = 1
    most: float = 1


# One of these in each of those, in one of the alternatives.
Demanded = Sequence[Sequence[Sequence[str]]]


def demanded_by(pattern: str) -> Demanded | None:
    """What is in the name of everything that fits. None: that is not seen."""
    caseless = pattern.startswith(_CASELESS)
    try:
        parted = _alternatives(pattern[4 if caseless else 0 :])
    except _NotSeen:
        return None
    alternatives = [_demands(parts, caseless=caseless) for parts in parted]
    return alternatives if all(alternatives) else None


def query_of(demanded: Demanded, *, usual: Sequence[str] = ()) -> str:
    """For FTS5; what names such as the usual have more often than the rest of it is left out."""
    names = [name.lower() for name in usual]
    return " OR ".join(f"({' AND '.join(map(_any_of, _telling(one, names)))})" for one in demanded)


def _telling(demands: Sequence[Sequence[str]], names: Sequence[str]) -> Sequence[Sequence[str]]:
    lowered = ([text.lower() for text in one] for one in demands)
    often = [sum(any(text in name for text in one) for name in names) for one in lowered]
    at_most = _AS_GOOD * max(min(often), 1)
    return [one for one, times in zip(demands, often, strict=True) if times <= at_most]


def _demands(parts: Sequence[_Part], *, caseless: bool) -> Sequence[Sequence[str]]:
    following = _Following(parts)
    # From the end, so that what follows has been seen.
    found = [following.chars(at, 0, _LENGTH) for at in reversed(range(len(parts)))][::-1]
    usable = (tuple(sorted(one)) for one in found if one and all(_is_usable(text, caseless=caseless) for text in one))
    return list(dict.fromkeys(usable))[:_AT_MOST]


class _Following:
    """What can follow where in these parts. Each place is looked at once, however many ways lead there."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts
        self._seen: dict[tuple[int, int, int], Collection[str] | None] = {}

    def chars(self, at: int, taken: int, length: int) -> Collection[str] | None:
        """The next characters, from here on, where so many of this part were taken. None: not seen, or too many."""
        place = (at, taken, length)
        if place not in self._seen:
            self._seen[place] = self._look(*place)
        return self._seen[place]

    def _look(self, at: int, taken: int, length: int) -> Collection[str] | None:
        if length == 0:
            return {""}
        if at == len(self._parts):
            return None
        chars, least, most = self._parts[at]
        found: set[str] = set()
        if taken < most:
            rest = None if chars is None else self.chars(at, taken + 1, length - 1)
            if chars is None or rest is None:
                return None
            found |= {char + others for char in chars for others in rest}
        if taken >= least:
            others = self.chars(at + 1, 0, length)
            if others is None:
                return None
            found |= set(others)
        return found if len(found) <= _ALTERNATIVES else None


def _is_usable(text: str, *, caseless: bool) -> bool:
    return "\0" not in text and not (caseless and (not text.isascii() or not _OF_OTHERS.isdisjoint(text)))


def _alternatives(pattern: str) -> Sequence[Sequence[_Part]]:
    """What stands one behind the other, in each of what `|` parts."""
    alternatives: list[list[_Part]] = [[]]
    at = 0
    while at < len(pattern):
        if pattern[at] == "|":
            alternatives.append([])
            at += 1
        elif (between := _between(pattern, at)) > 0:
            at += between
        else:
            chars, length = _one(pattern, at)
            repeated = _REPEATED.match(pattern, at + length)
            is_group = pattern[at] == "("
            least, most = (0, inf) if is_group else _how_often(repeated)
            alternatives[-1].append(_Part(chars, least, most))
            at += length + (0 if repeated is None else len(repeated[0]))
    return alternatives


def _between(pattern: str, at: int) -> int:
    """How long the sign is that stands for no character. 0: none is here."""
    if pattern[at] in "^$":
        return 1
    return 2 if pattern[at] == "\\" and pattern[at + 1 : at + 2] in _BETWEEN else 0


def _one(pattern: str, at: int) -> tuple[Collection[str] | None, int]:
    """What stands for a character, or is a group, and how long that is."""
    match pattern[at]:
        case "\\":
            return _escaped(pattern[at + 1 : at + 2]), 2
        case "[":
            return _class(_whole(_CLASS.match(pattern, at)))
        case "(":
            return None, _group(pattern, at)
        case "{" if _REPEATED.match(pattern, at):
            raise _NotSeen
        case ")" | "*" | "+" | "?":
            raise _NotSeen
        case ".":
            return None, 1
        case char:
            return char, 1


def _escaped(char: str) -> Collection[str] | None:
    if char == "d":
        return _DIGITS
    if char in _ONE_OF_MANY:
        return None
    if char.isascii() and not char.isalnum():
        return char
    raise _NotSeen


def _class(text: str) -> tuple[Collection[str] | None, int]:
    """The characters of a class, if it names few."""
    if _SIMPLE_CLASS.fullmatch(text) is None:
        return None, len(text)
    return frozenset(_named(text[1:-1])), len(text)


def _named(ranges: str) -> Iterator[str]:
    for first, last in _RANGE.findall(ranges):
        if first == r"\d":
            yield from _DIGITS
        else:
            start = ord(first[-1])
            end = ord(last) if last else start
            # One more than are of use says as much as all of them.
            yield from map(chr, range(start, min(end, start + _ALTERNATIVES) + 1))


def _how_often(repeated: re.Match[str] | None) -> tuple[int, float]:
    if repeated is None:
        return 1, 1
    sign, least, upto, most, _ = repeated.groups()
    if least is None:
        return _HOW_OFTEN[sign]
    return int(least), int(most) if most else (inf if upto else int(least))


def _group(pattern: str, start: int) -> int:
    """How long a group is; what is in it is not looked at."""
    at, depth = start, 0
    while True:
        match pattern[at : at + 1]:
            case "(":
                at += len(_whole(_GROUP.match(pattern, at)))
                depth += 1
            case ")":
                at += 1
                depth -= 1
            case "[":
                at += len(_whole(_CLASS.match(pattern, at)))
            case "\\" if pattern[at + 1 : at + 2] != "Q":
                at += 2
            case "" | "\\":
                raise _NotSeen
            case _:
                at += 1
        if depth == 0:
            return at - start


def _whole(found: re.Match[str] | None) -> str:
    if found is None:
        raise _NotSeen
    return found[0]


def _any_of(texts: Sequence[str]) -> str:
    quoted = " OR ".join('"' + text.replace('"', '""') + '"' for text in texts)
    return quoted if len(texts) == 1 else f"({quoted})"
