"""The bytes of a result on their way to a caller: what the answer says, and that nothing stays open behind it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from app.api.access import admitted
from app.api.problems import handle_problems
from app.api.results import router
from app.domain.access import LOCAL
from app.domain.errors import RangeOutside, Unreachable
from app.domain.ports import Content, Extent, Wanted
from app.main import create_app
from app.settings import Settings
from tests.support.news import JOB

WITHIN_S = 10.0
CSV = "text/csv"


class FakeResults:
    """Gives `content` of endless or few pieces, writes down what was asked for, and counts what is open."""

    def __init__(self, *pieces: bytes, **said: Any) -> None:
        self.wanted: list[Wanted | Mapping[str, str]] = []
        self.open = 0
        self.read = 0
        self.endless = False
        self.failure: Exception | None = None
        self._pieces = pieces
        self._said = {"media_type": CSV, "length": None, **said}

    @asynccontextmanager
    async def table(self, job_id: UUID, wanted: Wanted) -> AsyncIterator[Content]:
        """The content."""
        del job_id
        self.wanted.append(wanted)
        async with self._opened() as content:
            yield content

    @asynccontextmanager
    async def asset(self, job_id: UUID, *, conditions: Mapping[str, str]) -> AsyncIterator[Content]:
        """The same."""
        del job_id
        self.wanted.append(conditions)
        async with self._opened() as content:
            yield content

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Content]:
        self.open += 1
        try:
            if self.failure:
                raise self.failure
            yield Content(pieces=self._told(), **self._said)
        finally:
            self.open -= 1

    async def _told(self) -> AsyncIterator[bytes]:
        while True:
            for piece in self._pieces:
                self.read += 1
                yield piece
                await asyncio.sleep(0)
            if not self.endless:
                return


def application(results: FakeResults) -> FastAPI:
    app = FastAPI()
    app.include_router(router)
    app.dependency_overrides[admitted] = lambda: LOCAL
    handle_problems(app)
    app.state.rooms = SimpleNamespace(results=results)
    return app


async def answered(results: FakeResults, query: str = "table", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(application(results))
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        answer = await client.get(f"/v1/jobs/{JOB}/result/{query}", headers=sent)
    assert results.open == 0, "the Access Point is still read from"
    return answer


async def test_a_caller_who_leaves_ends_the_reading() -> None:
    """An Access Point must not be kept busy for nobody."""
    results = FakeResults(b"x" * 1000)
    results.endless = True
    enough, sent = asyncio.Event(), 0

    async def receive() -> Message:
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))
        if sent > 5_000:
            enough.set()

    path = f"/v1/jobs/{JOB}/result/table"
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    async with asyncio.timeout(WITHIN_S):
        await application(results)(scope, receive, send)

    assert results.open == 0
    assert 5 < results.read < 100


async def test_a_caller_who_is_gone_before_the_first_byte_leaves_nothing_open() -> None:
    """The slot was taken before the body began."""
    results = FakeResults(b"x")

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("it never comes")

    async def send(message: Message) -> None:
        raise OSError(f"nobody there for {message['type']}")

    path = f"/v1/jobs/{JOB}/result/asset"
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    with pytest.raises(OSError, match="nobody there"):
        async with asyncio.timeout(WITHIN_S):
            await application(results)(scope, receive, send)

    assert (results.open, results.read) == (0, 0)


async def test_the_rest_of_a_table_is_linked_with_the_same_filters() -> None:
    """Whoever follows the link gets the next rows in the same form."""
    results = FakeResults(b"a\n", next_offset=7, said={"X-Records": "30", "X-Next-Offset": "7"})

    answer = await answered(results, "table?format=csv&offset=2&limit=5")

    assert results.wanted == [Wanted(media_type=CSV, offset=2, limit=5)]
    assert (answer.headers["X-Records"], answer.headers["X-Next-Offset"]) == ("30", "7")
    url, rel = answer.headers["Link"].split("; ")
    linked = urlsplit(url.strip("<>"))
    assert (linked.scheme, linked.netloc, linked.path) == ("", "", f"/v1/jobs/{JOB}/result/table")
    assert parse_qs(linked.query) == {"format": ["csv"], "limit": ["5"], "offset": ["7"]}
    assert rel == 'rel="next"'


async def test_the_last_rows_have_no_link() -> None:
    """There is nothing to follow."""
    answer = await answered(FakeResults(b"a\n", said={"X-Records": "30"}), "table?offset=25")

    assert "Link" not in answer.headers


@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ("table", "*/*", "application/json"),
        (
            "table",
            "text/html, application/vnd.apache.arrow.stream;q=0.9, */*;q=0.1",
            "application/vnd.apache.arrow.stream",
        ),
        ("table?format=parquet", "text/csv", "application/vnd.apache.parquet"),
        ("table?format=arrow", "text/html", "application/vnd.apache.arrow.stream"),
        ("table?format=json", "text/csv", "application/json"),
    ],
)
async def test_the_form_is_that_of_accept_unless_it_is_named(query: str, accept: str, media_type: str) -> None:
    """A link can name a form, and a browser's Accept must not be in its way."""
    results = FakeResults(b"a\n")

    await answered(results, query, Accept=accept)

    assert results.wanted == [Wanted(media_type=media_type)]


async def test_a_part_is_passed_back_as_a_part() -> None:
    """With all that makes the next one possible."""
    said = {"Content-Range": "bytes 0-2/9", "ETag": '"e"', "Accept-Ranges": "bytes"}
    results = FakeResults(b"abc", extent=Extent.PART, length=3, said=said)

    answer = await answered(results, "asset", Range="bytes=0-2", **{"If-Range": '"e"', "If-None-Match": '"f"'})

    assert results.wanted == [{"Range": "bytes=0-2", "If-Range": '"e"', "If-None-Match": '"f"'}]
    assert (answer.status_code, answer.content) == (206, b"abc")
    assert {name: answer.headers[name] for name in said} == said


@pytest.mark.parametrize("header", ["Range", "If-Range", "If-None-Match"])
async def test_a_condition_that_cannot_be_passed_on_is_refused(header: str) -> None:
    """Left out, it would make the answer another one."""
    results = FakeResults(b"abc")

    answer = await answered(results, "asset", **{header: "é"})

    assert (answer.status_code, answer.json()["field"]) == (422, header)
    assert results.wanted == []


async def test_what_the_caller_has_already_is_not_sent() -> None:
    """And nothing is read."""
    results = FakeResults(b"abc", extent=Extent.UNCHANGED, said={"ETag": '"e"'})

    answer = await answered(results, "asset", **{"If-None-Match": '"e"'})

    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", '"e"')
    assert results.read == 0


@pytest.mark.parametrize(("there", "header"), [("bytes */9", "bytes */9"), (None, None)])
async def test_a_range_that_is_not_there_is_a_problem_that_says_what_is(there: str | None, header: str | None) -> None:
    """In the one shape of all errors, and with the header that clients look for."""
    results = FakeResults()
    results.failure = RangeOutside("None of these bytes are there.", content_range=there)

    answer = await answered(results, "asset", Range="bytes=100-")

    assert (answer.status_code, answer.json()["code"]) == (416, "range-not-satisfiable")
    assert answer.headers.get("Content-Range") == header


async def test_a_page_of_another_origin_may_read_where_a_table_goes_on(tmp_path: Path) -> None:
    """A browser keeps from it the headers that are not named."""
    app = create_app(Settings(data_dir=tmp_path, cors_origins=("https://app.example",)))
    app.state.rooms = SimpleNamespace()  # it is not asked for anything
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        answer = await client.get("/livez", headers={"Origin": "https://app.example"})

    exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert {"ETag", "Accept-Ranges", "Content-Range", "Link", "X-Records", "X-Next-Offset", "Location"} <= exposed


async def test_a_refusal_is_told_before_anything_is_sent() -> None:
    """The answer has not begun."""
    results = FakeResults()
    results.failure = Unreachable("Away.")

    assert (await answered(results)).status_code == 503
