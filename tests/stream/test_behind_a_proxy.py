"""Behind the proxies of docs/operations.md, set up as it says, the gateway is what it is without one."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
import pytest

from app.domain.access import Role
from network import ports
from tests.support import proxies
from tests.support.events import Event, NdjsonReader, SseReader, joined, ndjson, numbered, sse
from tests.support.gateway import NDJSON, WITHIN_S, Caller, Gateway, router_settings, served
from tests.support.keys import KEYED, made_key, revoked_key
from tests.support.network import REGRESSION, RunningNetwork
from tests.support.proxies import Proxy

pytestmark = pytest.mark.full

Start = Callable[..., AbstractContextManager[Proxy]]

_PROXIES: dict[str, Start] = {"nginx": proxies.nginx, "caddy": proxies.caddy}
_FORMS: dict[str, dict[str, str]] = {"sse": {}, "ndjson": NDJSON}
# Well under the 15 s after which a ping would push out what is held back.
_AT_ONCE_S = 20.0
_LOOK_AGAIN_S = 0.02
_TABLE = b"patient_id,age\n" + b"".join(b"p-%06d,%d\n" % (number, number % 90) for number in range(150_000))
_NGINX_DEFAULT_LIMIT = 1 << 20


@pytest.fixture(scope="module")
def upstream() -> str:
    """Where the gateway is, also after it was stopped and started again: the proxy knows no other place."""
    return f"127.0.0.1:{ports.keep_or_choose('127.0.0.1', known=None, taken=set())}"


@pytest.fixture(scope="module")
def keyed(
    running_network: RunningNetwork, upstream: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway that asks for keys."""
    port = upstream.rpartition(":")[2]
    settings = {**KEYED, "GATEWAY_PORT": port, **router_settings(running_network)}
    with served(tmp_path_factory.mktemp("keyed"), **settings) as gateway:
        yield gateway


@pytest.fixture
async def key(keyed: Gateway) -> str:
    """An administrator's."""
    return (await made_key(keyed.data_dir, "ada", Role.ADMIN))[1]


@pytest.fixture(params=list(_PROXIES.values()), ids=list(_PROXIES))
def start(request: pytest.FixtureRequest) -> Start:
    """How one of those is started that the document shows."""
    chosen: Start = request.param
    return chosen


@pytest.fixture
def proxy(start: Start, upstream: str, tmp_path: Path) -> Iterator[Proxy]:
    """Before the gateway."""
    with start(tmp_path / "proxy", upstream=upstream) as running:
        yield running


@pytest.fixture
def deserted(start: Start, tmp_path: Path) -> Iterator[Proxy]:
    """Before an address where nobody is."""
    nowhere = ports.keep_or_choose("127.0.0.1", known=None, taken=set())
    with start(tmp_path / "deserted", upstream=f"127.0.0.1:{nowhere}") as running:
        yield running


@pytest.fixture
async def caller(keyed: Gateway, key: str, proxy: Proxy, running_network: RunningNetwork) -> AsyncIterator[Caller]:
    """A program that has the key and knows the proxy alone."""
    async with proxy.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        yield Caller(keyed, running_network, client)


@pytest.fixture
async def browser(proxy: Proxy, keyed: Gateway) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001  (it must run)
    """It has no key."""
    async with proxy.client() as client:
        yield client


async def test_a_jobs_events_come_one_by_one_and_are_those_that_the_gateway_sent(
    caller: Caller, proxy: Proxy, key: str
) -> None:
    """What a proxy holds back until there is more of it looks like a job that stands still. Browsers speak HTTP/2."""
    job = await caller.waiting(REGRESSION)
    path = f"/v1/jobs/{job['id']}/events"

    async with AsyncExitStack() as leaving:
        viewers = [
            Viewer(await leaving.enter_async_context(_streamed(caller, path, {})), SseReader()),
            Viewer(await leaving.enter_async_context(_streamed(caller, path, NDJSON)), NdjsonReader()),
            Viewer(await leaving.enter_async_context(_streamed_over_http_2(proxy, path, key=key)), SseReader()),
        ]
        for owner in (0, 1):
            await asyncio.gather(*(viewer.until_waiting_on(2 - owner) for viewer in viewers))
            _accept(caller, job, owner)
        await asyncio.gather(*(viewer.until_closed() for viewer in viewers))

    events, lines = sse(await _directly(caller, path, {})), ndjson(await _directly(caller, path, NDJSON))
    told = [joined(numbered(viewer.heard)) for viewer in viewers]
    assert [viewer.heard[0].name for viewer in viewers] == ["snapshot"] * 3
    assert told == [joined(numbered(one)) for one in (events, lines, events)]


@pytest.mark.parametrize("form", _FORMS)
async def test_a_viewer_who_leaves_has_left_the_gateway_too(caller: Caller, form: str) -> None:
    """Else streams that nobody reads pile up between the two."""
    job = await caller.waiting(REGRESSION)
    before = len(caller.gateway.log)

    async with caller.client.stream("GET", f"/v1/jobs/{job['id']}/events", headers=_FORMS[form]) as answer:
        await anext(answer.aiter_raw())

    line = await _logged(caller.gateway, f"/v1/jobs/{job['id']}/events", since=before)
    assert line["status"] == 200


async def test_a_ticket_is_traded_for_a_secure_cookie_that_lets_a_reconnect_in(
    caller: Caller, browser: httpx.AsyncClient
) -> None:
    """The gateway speaks plain HTTP here: that the page does not, it has from the proxy alone."""
    job = await caller.waiting(REGRESSION)
    ticket = await _ticket(caller, job)

    first = await _opened(browser, ticket)
    again = await _opened(browser, ticket, cookie=_cookie(first))
    without = await browser.get(ticket)

    attributes = first.headers["set-cookie"].split("; ")[1:]
    assert set(attributes) == {f"Path=/v1/jobs/{job['id']}/events", "HttpOnly", "Secure", "SameSite=Strict"}
    assert (first.status_code, again.status_code, without.status_code) == (200, 200, 401)
    assert "set-cookie" not in again.headers


async def test_pages_of_the_proxys_own_origin_may_write_and_others_not(caller: Caller, proxy: Proxy) -> None:
    """The gateway knows its own name from `Host` alone, and that it is reached by HTTPS from the proxy."""
    elsewhere = ["https://evil.example", proxy.origin.replace("https", "http"), proxy.origin.rpartition(":")[0]]

    own = await _written_from(caller, proxy.origin)
    others = [await _written_from(caller, origin) for origin in elsewhere]

    assert own.status_code == 201
    assert [(answer.status_code, answer.json()["code"]) for answer in others] == [(403, "origin-not-allowed")] * 3


async def test_where_a_caller_is_has_the_gateway_from_the_proxy(caller: Caller) -> None:
    """A caller who could name an address of their choice would put another into the log."""
    before = len(caller.gateway.log)
    lie = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "Forwarded": "for=203.0.113.9"}

    await caller.client.get("/v1/operations", headers=lie)

    line = await _logged(caller.gateway, "/v1/operations", since=before)
    assert line["client"] == "127.0.0.1"


async def test_an_upload_that_is_larger_than_nginxs_default_passes(caller: Caller, tmp_path: Path) -> None:
    """The default is 1 MB; the gateway takes 256."""
    assert len(_TABLE) > _NGINX_DEFAULT_LIMIT

    answer = await caller.client.post(
        "/v1/assets",
        params={"name": f"large-{tmp_path.name.replace('_', '-')[-30:].lower()}"},
        headers={"Content-Type": "text/csv"},
        content=_TABLE,
    )

    assert answer.status_code == 201, answer.text


async def test_a_stream_ends_in_good_order_with_its_key(keyed: Gateway, caller: Caller, proxy: Proxy) -> None:
    """A viewer can tell the end of a stream from a cut, and then hears why it is not let in again."""
    lost, text = await made_key(keyed.data_dir, "ada", Role.ADMIN)
    job = await caller.waiting(REGRESSION)

    async with proxy.client() as client:
        client.headers["Authorization"] = f"Bearer {text}"
        async with client.stream("GET", f"/v1/jobs/{job['id']}/events") as answer:
            pieces = answer.aiter_raw()
            await anext(pieces)
            await revoked_key(keyed.data_dir, lost)
            async with asyncio.timeout(_AT_ONCE_S):
                rest = [piece async for piece in pieces]
        refused = await client.get(f"/v1/jobs/{job['id']}/events")

    assert b"event: end" not in b"".join(rest)
    assert (refused.status_code, refused.json()["code"]) == (401, "key-invalid")


async def test_a_gateway_that_stops_ends_streams_in_good_order_and_lets_them_in_again(
    keyed: Gateway, caller: Caller, browser: httpx.AsyncClient
) -> None:
    """An update of the gateway is nothing that a viewer or the proxy's operator need do anything about."""
    ticket = await _ticket(caller, await caller.waiting(REGRESSION))

    async with browser.stream("GET", ticket) as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        await asyncio.to_thread(keyed.stop)
        async with asyncio.timeout(_AT_ONCE_S):
            rest = [piece async for piece in pieces]
    await asyncio.to_thread(keyed.start)
    back = await _opened(browser, ticket, cookie=_cookie(answer))

    assert b"event: end" not in b"".join(rest)
    assert back.status_code == 200


@pytest.mark.parametrize("path", ["/v1/events", "/v1/jobs/5f3a2c1e-0000-4000-8000-000000000001/events?ticket=any"])
async def test_while_the_gateway_is_away_streams_are_cut_off_and_not_answered(deserted: Proxy, path: str) -> None:
    """EventSource dials again after a cut, and gives up for good at a 502."""
    async with deserted.client() as client:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await client.get(path)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/5f3a2c1e-0000-4000-8000-000000000001", "/events"])
async def test_while_the_gateway_is_away_everything_else_is_answered_502(deserted: Proxy, path: str) -> None:
    """A program is better off with an answer."""
    async with deserted.client() as client:
        answer = await client.get(path)

    assert answer.status_code == 502


async def test_no_key_ticket_cookie_or_router_token_is_in_a_proxys_log(
    caller: Caller, browser: httpx.AsyncClient, proxy: Proxy
) -> None:
    """Neither when all is well nor when something is refused."""
    key, token = caller.client.headers["Authorization"], caller.network.user_token("member@globex")
    job = await caller.waiting(REGRESSION)
    ticket = await _ticket(caller, job)

    cookie = _cookie(await _opened(browser, ticket))
    refused = [
        await browser.get(ticket),
        await browser.get("/v1/events", headers={"Cookie": cookie}),
        await caller.client.post("/v1/jobs", headers={"Router-Authorization": f"Bearer {token}"}, json={}),
    ]
    killed = await caller.client.post(f"/v1/jobs/{job['id']}/kill", headers={"Router-Authorization": f"Bearer {token}"})

    assert [answer.status_code for answer in refused] == [401, 401, 422]
    assert killed.status_code == 200, killed.text
    assert _told_of(proxy, job["id"], [key, token, cookie, ticket]) == []


async def test_nor_is_it_when_nobody_is_there_to_answer(deserted: Proxy) -> None:
    """A proxy says more about what went wrong than about what went well."""
    headers = {
        "Authorization": f"Bearer tbg_5700a2ca95e9_{token_urlsafe()}",
        "Router-Authorization": f"Bearer {token_urlsafe()}",
        "Cookie": f"gateway-stream={token_urlsafe()}",
    }
    stream, other = (
        f"/v1/jobs/5f3a2c1e-0000-4000-8000-000000000001{what}?ticket={token_urlsafe()}" for what in ("/events", "")
    )

    async with deserted.client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(stream, headers=headers)
        await client.get(other, headers=headers)

    assert _told_of(deserted, other.partition("?")[0], [*headers.values(), stream, other]) == []


class Viewer:
    """Makes events of a stream's pieces as they come."""

    def __init__(self, pieces: AsyncIterator[bytes], reader: SseReader | NdjsonReader) -> None:
        self.heard: list[Event] = []
        self._pieces = pieces
        self._reader = reader

    async def until_waiting_on(self, owners: int) -> None:
        """Listen until the job is said to wait for so many; nothing else will happen until somebody here does it."""
        async with asyncio.timeout(_AT_ONCE_S):
            while not any(_is_waiting_on(owners, event) for event in self.heard):
                self.heard += self._reader.feed(await anext(self._pieces))

    async def until_closed(self) -> None:
        """Listen until the stream is closed, which it is after its end."""
        async with asyncio.timeout(WITHIN_S):
            async for piece in self._pieces:
                self.heard += self._reader.feed(piece)
        assert self.heard[-1].name == "end"


def _is_waiting_on(owners: int, event: Event) -> bool:
    return event.name == "phase" and len((event.json["why"] or {}).get("waiting_on", [])) == owners


@asynccontextmanager
async def _streamed(caller: Caller, path: str, headers: dict[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
    async with caller.client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.status_code
        yield answer.aiter_raw()


@asynccontextmanager
async def _streamed_over_http_2(proxy: Proxy, path: str, *, key: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """As curl gets it, which speaks that; by the end of the block it has come to a good end."""
    options = [
        "-sSNf",
        "--http2",
        "--noproxy",
        "*",
        "--cacert",
        str(proxy.certificate),
        "-w",
        "%{stderr}%{http_version}",
    ]
    curl = await asyncio.create_subprocess_exec(
        *("curl", *options, "-H", f"Authorization: Bearer {key}", proxy.origin + path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield _pieces(curl)
        _, told = await asyncio.wait_for(curl.communicate(), _AT_ONCE_S)
        assert (curl.returncode, told) == (0, b"2")
    finally:
        if curl.returncode is None:
            curl.kill()
            await curl.communicate()


async def _pieces(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    assert process.stdout is not None
    while piece := await process.stdout.read(1 << 16):
        yield piece


def _accept(caller: Caller, job: dict[str, Any], number: int) -> None:
    """One of the owners says yes."""
    missing = job["waiting_on"][number]
    path = f"/v1/access-requests/{missing['asset_id']}/{job['id']}/accept"
    assert caller.network.client(missing["team"]).post(path).status_code == 200


async def _directly(caller: Caller, path: str, headers: dict[str, str]) -> bytes:
    """A whole stream, read without the proxy."""
    async with caller.gateway.client() as client:
        client.headers["Authorization"] = caller.client.headers["Authorization"]
        return await Caller(caller.gateway, caller.network, client).bytes_of(path, headers=headers)


async def _logged(gateway: Gateway, path: str, *, since: int) -> dict[str, Any]:
    """The gateway's line on a request for this path, which it writes when that is over."""
    async with asyncio.timeout(_AT_ONCE_S):
        while True:
            lines: list[dict[str, Any]] = [json.loads(line) for line in gateway.log[since:].splitlines(keepends=True)]
            if found := [line for line in lines if line.get("path") == path]:
                return found[0]
            await asyncio.sleep(_LOOK_AGAIN_S)


async def _ticket(caller: Caller, job: dict[str, Any]) -> str:
    """The address of the job's stream, with a new ticket."""
    answer = await caller.client.post("/v1/stream-tickets", json={"job_id": job["id"]})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


async def _opened(browser: httpx.AsyncClient, url: str, *, cookie: str | None = None) -> httpx.Response:
    """A stream's answer once its first bytes are there; then the browser leaves."""
    headers = {"Cookie": cookie} if cookie else {}
    async with browser.stream("GET", url, headers=headers) as answer:
        await anext(answer.aiter_raw())
    browser.cookies.clear()
    return answer


def _cookie(answer: httpx.Response) -> str:
    """The name and value that it set."""
    return str(answer.headers["set-cookie"]).partition(";")[0]


async def _written_from(caller: Caller, origin: str) -> httpx.Response:
    """What a page of this origin gets that tries to change something."""
    return await caller.client.post("/v1/stream-tickets", headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})


def _told_of(proxy: Proxy, path: str, secrets: list[str]) -> list[str]:
    """Which of the secrets it wrote down, in whatever they came; that it writes at all one sees by the path."""
    assert path in proxy.written, "it keeps no log"
    bare = [re.split("[ =]", secret)[-1] for secret in secrets]
    return [secret for secret in bare if secret in proxy.written]
