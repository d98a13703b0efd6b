"""Lines are split on the newline byte alone, whatever pieces they come in."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upstream.lines import MAX_LINE_BYTES, TOO_LONG, TooLong, lines_of, pieces_of

WITHIN_S = 10.0


async def read(pieces: Sequence[bytes], *, longest: int = MAX_LINE_BYTES) -> list[bytes | TooLong]:
    async def content() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    response = httpx.Response(200, content=content())
    return [line async for lines in lines_of(response, within_s=WITHIN_S, longest=longest) for line in lines]


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


async def dripping() -> AsyncIterator[bytes]:
    yield b'{"a": 1}\n'
    while True:
        await asyncio.sleep(0.01)  # no silence is long
        yield b"x"


async def silent() -> AsyncIterator[bytes]:
    yield b"a"
    await asyncio.Event().wait()


async def test_a_line_that_never_ends_is_too_late_however_many_bytes_come() -> None:
    """No silence would ever be long enough to be noticed."""
    lines = lines_of(httpx.Response(200, content=dripping()), within_s=0.1)

    assert await anext(lines) == [b'{"a": 1}']
    with pytest.raises(httpx.ReadTimeout):
        await anext(lines)


async def test_pieces_are_waited_for_so_long() -> None:
    """Bytes of an asset may take their time as a whole."""
    pieces = pieces_of(httpx.Response(200, content=silent()), within_s=0.1)

    assert await anext(pieces) == b"a"
    with pytest.raises(httpx.ReadTimeout):
        await anext(pieces)


async def test_the_time_that_the_reader_takes_is_its_own() -> None:
    """A database that is slow must not look like a Router that is away."""
    lines = lines_of(httpx.Response(200, content=pieces(b"a\n", b"b\n")), within_s=0.05)

    assert await anext(lines) == [b"a"]
    await asyncio.sleep(0.1)  # longer than a line may take
    assert await anext(lines) == [b"b"]


async def pieces(*some: bytes) -> AsyncIterator[bytes]:
    for one in some:
        yield one
