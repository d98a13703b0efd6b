"""Lines are split on the newline byte alone, whatever pieces they come in."""

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upstream.lines import MAX_LINE_BYTES, TOO_LONG, TooLong, lines_of


async def read(pieces: Sequence[bytes], *, longest: int = MAX_LINE_BYTES) -> list[bytes | TooLong]:
    async def content() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [line async for line in lines_of(httpx.Response(200, content=content()), longest=longest)]


def cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:stop] for start, stop in pairwise(edges)]


@given(
    lines=st.lists(st.binary(max_size=20).map(lambda one: one.replace(b"\n", b"")), max_size=8),
    places=st.lists(st.integers(0, 200)),
)
async def test_pieces_may_be_cut_anywhere(lines: list[bytes], places: list[int]) -> None:
    """A network cuts where it likes."""
    text = b"".join(line + b"\n" for line in lines)

    assert await read(cut(text, places)) == lines


@given(
    lines=st.lists(st.integers(0, 30).map(lambda size: b"x" * size), max_size=8),
    places=st.lists(st.integers(0, 250)),
)
async def test_a_line_over_the_limit_is_told_and_the_others_are_not_touched(
    lines: list[bytes], places: list[int]
) -> None:
    """One bad line is no dead stream, wherever it is cut."""
    text = b"".join(line + b"\n" for line in lines)

    seen = await read(cut(text, places), longest=10)

    assert seen == [line if len(line) <= 10 else TOO_LONG for line in lines]


async def test_a_line_of_exactly_the_limit_is_taken() -> None:
    """And one byte more is not."""
    fits, does_not = b"x" * MAX_LINE_BYTES, b"x" * (MAX_LINE_BYTES + 1)

    assert await read([fits, b"\n", does_not, b"\n", b"{}\n"]) == [fits, TOO_LONG, b"{}"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\r", "\x0b", "\x0c", "\x1c"])
async def test_other_separators_stay_inside_a_line(separator: str) -> None:
    """They may stand in JSON text; httpx's own line iterator would split there."""
    line = f'"a{separator}b"'.encode()

    assert await read([line + b"\n"]) == [line]


async def test_a_line_without_its_newline_is_no_line() -> None:
    """It was cut: what is missing may be the half that matters."""
    assert await read([b'{"a": 1}\n{"a": 1', b"2"]) == [b'{"a": 1}']


async def test_an_empty_line_is_a_line() -> None:
    """It is a sign of life."""
    assert await read([b"\n\n", b"\n"]) == [b"", b"", b""]
