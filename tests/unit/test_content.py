"""The bytes of an asset as its Access Point gives them: what is asked, and what becomes of each answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.domain.errors import Garbled, NotAcceptable, RangeOutside
from app.domain.network import Asset
from app.domain.ports import Content, Extent, Wanted
from app.domain.reports import StreamAddress
from app.upstream.access_points import HttpAccessPoints
from app.upstream.clients import open_clients
from tests.support.loopback import Answer, Server, answers, loopback
from tests.support.news import JOB, NOON

CSV = Wanted(media_type="text/csv")
WITHIN_S = 10.0


@asynccontextmanager
async def asked(wanted: Wanted, answer: Answer) -> AsyncIterator[tuple[Content, Server]]:
    """What comes of an Access Point that answers so."""
    async with (
        loopback(answer) as server,
        open_clients(server.url, token="r", call_timeout_s=WITHIN_S, silence_s=WITHIN_S) as clients,  # noqa: S106
        HttpAccessPoints(clients.access_points, now=lambda: NOON).content(asset_at(server.url), wanted) as content,
    ):
        yield content, server


def asset_at(url: str) -> Asset:
    content = StreamAddress(url=f"{url}/v1/assets/{JOB}", token="for this asset")  # noqa: S106  (opens nothing)
    facts: dict[str, Any] = {"id": JOB, "name": "globex/t", "team": "globex", "kind": "table", "columns": ()}
    return Asset(**facts, records=None, job_id=None, created=NOON, content=content)


async def whole(content: Content) -> bytes:
    return b"".join([piece async for piece in content.pieces])


async def test_rows_and_conditions_are_passed_on_beside_the_assets_own_token() -> None:
    """And nothing on the way may pack the bytes that a range counts."""
    conditions = {"Range": "bytes=0-9", "If-Range": '"e"', "If-None-Match": '"f"'}
    wanted = Wanted(media_type="text/csv", offset=0, limit=7, conditions=conditions)

    async with asked(wanted, answers(200, b"a\n", kind="text/csv")) as (_, server):
        (seen,) = server.seen

    assert seen.target == f"/v1/assets/{JOB}?offset=0&limit=7"
    assert {name: seen.headers[name.lower()] for name in conditions} == conditions
    assert (seen.headers["accept"], seen.headers["accept-encoding"]) == ("text/csv", "identity")
    assert seen.headers["authorization"] == "Bearer for this asset"


async def test_what_nobody_asked_for_is_not_asked_for() -> None:
    """An Access Point need not know rows and ranges."""
    async with asked(CSV, answers(200, b"a\n", kind="text/csv")) as (_, server):
        (seen,) = server.seen

    assert seen.target == f"/v1/assets/{JOB}"
    assert not {"range", "if-range", "if-none-match"} & seen.headers.keys()


async def test_a_part_says_which() -> None:
    """With what tells whether a later part is of the same bytes."""
    said = {"Content_Range": "bytes 0-2/9", "ETag": '"e"', "Accept_Ranges": "bytes", "X_Powered_By": "something"}

    async with asked(CSV, answers(206, b"abc", kind="text/csv", **said)) as (content, _):
        body = await whole(content)

    assert (content.extent, content.media_type, content.length, body) == (Extent.PART, "text/csv", 3, b"abc")
    assert content.said == {"Content-Range": "bytes 0-2/9", "ETag": '"e"', "Accept-Ranges": "bytes"}


async def test_what_has_not_changed_has_no_bytes() -> None:
    """The caller has them."""
    async with asked(CSV, answers(304, ETag='"e"')) as (content, _):
        assert (content.extent, content.said) == (Extent.UNCHANGED, {"ETag": '"e"'})


@pytest.mark.parametrize(("said", "there"), [({"Content_Range": "bytes */9"}, "bytes */9"), ({}, None)])
async def test_a_range_that_is_not_there_is_refused_with_what_is(said: dict[str, str], there: str | None) -> None:
    """Whoever asked can ask again."""
    with pytest.raises(RangeOutside) as refused:
        async with asked(CSV, answers(416, b"Range Not Satisfiable", kind="text/plain", **said)):
            pass

    assert refused.value.facts == {"content_range": there}


@pytest.mark.parametrize(
    ("said", "offset"),
    [
        ({"X_Next_Offset": "10"}, 10),
        ({}, None),
        ({"X_Next_Offset": "-1"}, None),
        ({"X_Next_Offset": "9" * 5_000}, None),
    ],
)
async def test_where_a_table_goes_on_is_a_number(said: dict[str, str], offset: int | None) -> None:
    """What is none leads nowhere."""
    async with asked(CSV, answers(200, b"a\n", kind="text/csv", X_Records="30", **said)) as (content, _):
        assert (content.next_offset, content.said["X-Records"]) == (offset, "30")


async def test_bytes_that_were_packed_on_the_way_are_not_taken() -> None:
    """A few of them could unfold into more than fits anywhere."""
    packed = bytes.fromhex("1f8b08000000000000034be40200078bdde102000000")  # "a\n" by gzip

    with pytest.raises(Garbled, match="packed"):
        async with asked(CSV, answers(200, packed, kind="text/csv", Content_Encoding="gzip")):
            pass


async def test_bytes_of_another_kind_are_not_taken() -> None:
    """The page of a login, kept under a table's name, would be found out much later."""
    with pytest.raises(Garbled, match="text/html"):
        async with asked(CSV, answers(200, b"<html>", kind="text/html; charset=utf-8")):
            pass


async def test_the_kind_may_be_spelled_in_any_way() -> None:
    """Letters are as good as others, and a charset may follow."""
    async with asked(CSV, answers(200, b"a\n", kind="Text/CSV; charset=utf-8")) as (content, _):
        assert await whole(content) == b"a\n"


async def test_what_cannot_stand_in_an_answer_of_ours_is_left_out() -> None:
    """The answer itself is not in question."""
    async with asked(CSV, answers(200, b"a\n", kind="text/csv", ETag='"é"')) as (content, _):
        assert content.said == {}


async def test_a_form_that_there_is_not_is_told() -> None:
    """A model is no table."""
    with pytest.raises(NotAcceptable, match="text/csv"):
        async with asked(CSV, answers(406, b"{}")):
            pass


@pytest.mark.parametrize("status", [204, 302, 500])
async def test_any_other_answer_is_none(status: int) -> None:
    """Bytes that are none must not look like an empty table."""
    with pytest.raises(Garbled):
        async with asked(CSV, answers(status)):
            pass
