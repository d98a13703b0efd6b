"""Behind the proxies of docs/operations.md, set up as it says, the gateway is what it is without one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.access import Role
from app.domain.keys import Key, new_key
from app.settings import Settings
from app.store.memory import open_keys
from network import ports
from tests.support import proxies
from tests.support.events import Event, NdjsonReader, SseReader, joined, ndjson, numbered, sse
from tests.support.gateway import NDJSON, WITHIN_S, Caller, Gateway, router_settings, served
from tests.support.network import REGRESSION, RunningNetwork
from tests.support.proxies import Proxy

_FORMS: dict[str, tuple[dict[str, str], type[SseReader | NdjsonReader], Callable[[bytes], list[Event]]]] = {
    "sse": ({}, SseReader, sse),
    "ndjson": (NDJSON, NdjsonReader, ndjson),
}
# Well under the 15 s after which a ping would push out what is held back.
_AT_ONCE_S = 5.0
_LOOK_AGAIN_S = 0.02
_TABLE = b"patient_id,age\n" + b"".join(b"p-%06d,%d\n" % (number, number % 90) for number in range(150_000))
_NGINX_DEFAULT_LIMIT = 1 << 20


@pytest.fixture(scope="module")
def upstream() -> str:
    """Where the gateway is, also after it was stopped and started again: the proxy knows no other place."""
    return f"127.0.0.1:{ports.keep_or_choose('127.0.0.1', known=None, taken=set())}"


@pytest.fixture(scope="module")
def keyed(running_network: RunningNetwork, upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that asks for keys."""
    port = upstream.rpartition(":")[2]
    settings = {"GATEWAY_AUTH": "key", "GATEWAY_PORT": port, **router_settings(running_network)}
    with served(tmp_path_factory.mktemp("keyed"), **settings) as gateway:
        yield gateway


@pytest.fixture
async def key(keyed: Gateway) -> str:
    """An administrator's."""
    return (await _made_key(keyed))[1]


@pytest.fixture(params=[proxies.nginx, proxies.caddy], ids=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, upstream: str, tmp_path: Path) -> Iterator[Proxy]:
    """One of those that the document shows."""
    start: Callable[..., AbstractContextManager[Proxy]] = request.param
    with start(tmp_path / "proxy", upstream=upstream) as running:
        yield running


@pytest.fixture
async def caller(keyed: Gateway, key: str, proxy: Proxy, running_network: RunningNetwork) -> AsyncIterator[Caller]:
    """A program that has the key and knows the proxy alone."""
    async with proxy.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        yield Caller(keyed, running_network, client)


@pytest.fixture
async def browser(proxy: Proxy, keyed: Gateway) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001  (it must run)
    """What has no key, and keeps no cookies that a test has not given it."""
    async with proxy.client() as client:
        yield client


@pytest.mark.parametrize("form", _FORMS)
async def test_a_jobs_events_come_one_by_one_and_are_those_that_the_gateway_sent(caller: Caller, form: str) -> None:
    """What a proxy holds back until there is more of it looks like a job that stands still."""
    headers, reader, whole_events = _FORMS[form]
    job = await caller.waiting(REGRESSION)
    path = f"/v1/jobs/{job['id']}/events"
    heard: list[Event] = []

    async with caller.client.stream("GET", path, headers=headers) as answer:
        events = _events(answer, reader())
        await _until_waiting_on(2, events, heard)
        _accept(caller, job, 0)
        await _until_waiting_on(1, events, heard)
        _accept(caller, job, 1)
        heard += [event async for event in events]

    assert heard[0].name == "snapshot"
    assert heard[-1].name == "end"
    direct = whole_events(await _directly(caller, path, headers))
    assert joined(numbered(heard)) == joined(numbered(direct))


async def test_over_http_2_too_events_come_one_by_one(caller: Caller, proxy: Proxy, key: str) -> None:
    """It is what browsers speak, and a proxy answers it by other ways."""
    job = await caller.waiting(REGRESSION)
    path = f"/v1/jobs/{job['id']}/events"
    heard: list[Event] = []

    async with _curl(proxy, path, key=key) as events:
        await _until_waiting_on(2, events, heard)
        _accept(caller, job, 0)
        await _until_waiting_on(1, events, heard)
        _accept(caller, job, 1)
        heard += [event async for event in events]

    assert joined(numbered(heard)) == joined(numbered(sse(await _directly(caller, path, {}))))


@pytest.mark.parametrize("form", _FORMS)
async def test_a_viewer_who_leaves_has_left_the_gateway_too(caller: Caller, form: str) -> None:
    """Else streams that nobody reads pile up between the two."""
    job = await caller.waiting(REGRESSION)
    before = len(caller.gateway.log)

    async with caller.client.stream("GET", f"/v1/jobs/{job['id']}/events", headers=_FORMS[form][0]) as answer:
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
    assert sorted(attributes) == sorted([f"Path={job['path']}", "HttpOnly", "Secure", "SameSite=Strict"])
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
    lost, text = await _made_key(keyed)
    job = await caller.waiting(REGRESSION)

    async with proxy.client() as client:
        client.headers["Authorization"] = f"Bearer {text}"
        async with client.stream("GET", f"/v1/jobs/{job['id']}/events") as answer:
            pieces = answer.aiter_raw()
            await anext(pieces)
            await _revoke(keyed, lost)
            async with asyncio.timeout(_AT_ONCE_S):
                rest = [piece async for piece in pieces]
        refused = await client.get(f"/v1/jobs/{job['id']}/events")

    assert b"event: end" not in b"".join(rest)
    assert (refused.status_code, refused.json()["code"]) == (401, "key-invalid")


async def test_a_gateway_that_stops_ends_streams_in_good_order_and_while_it_is_away_they_are_cut_off(
    keyed: Gateway, caller: Caller, browser: httpx.AsyncClient
) -> None:
    """EventSource dials again after a cut and gives up for good at a 502; other callers are better off with one."""
    job = await caller.waiting(REGRESSION)
    ticket = await _ticket(caller, job)

    async with browser.stream("GET", ticket) as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        await asyncio.to_thread(keyed.stop)
        async with asyncio.timeout(_AT_ONCE_S):
            rest = [piece async for piece in pieces]
    try:
        await _cut_off(browser, ticket)
        await _cut_off(browser, "/v1/events")
        other = await browser.get(f"/v1/jobs/{job['id']}")
    finally:
        await asyncio.to_thread(keyed.start)
    back = await _opened(browser, ticket, cookie=_cookie(answer))

    assert b"event: end" not in b"".join(rest)
    assert (other.status_code, back.status_code) == (502, 200)


async def test_no_key_ticket_cookie_or_router_token_is_in_a_proxys_log(
    keyed: Gateway, caller: Caller, browser: httpx.AsyncClient, proxy: Proxy
) -> None:
    """Neither when all is well, nor when something is refused, nor when there is nobody to answer."""
    router_token = caller.network.user_token("member@globex")
    mine = {"Router-Authorization": f"Bearer {router_token}"}
    job = await caller.waiting(REGRESSION)
    unused, used = await _ticket(caller, job), await _ticket(caller, job)
    opened = await _opened(browser, used)
    cookie = _cookie(opened)
    await browser.get(used)
    await caller.client.post(f"/v1/jobs/{job['id']}/cancel", headers=mine)

    await asyncio.to_thread(keyed.stop)
    try:
        await _cut_off(browser, unused, headers={"Cookie": cookie, **mine})
        away = await caller.client.get(f"/v1/jobs/{job['id']}?{unused.partition('?')[2]}", headers=mine)
    finally:
        await asyncio.to_thread(keyed.start)

    assert away.status_code == 502
    written = proxy.written
    assert job["path"] in written, "it has no log"
    tickets = [ticket.partition("ticket=")[2] for ticket in (unused, used)]
    secrets = [caller.client.headers["Authorization"].split("_")[-1], router_token, cookie.partition("=")[2], *tickets]
    assert [secret for secret in secrets if not secret or secret in written] == []


def _events(answer: httpx.Response, reader: SseReader | NdjsonReader) -> AsyncIterator[Event]:
    assert answer.status_code == 200, answer.status_code
    return _read(answer.aiter_raw(), reader)


async def _read(pieces: AsyncIterator[bytes], reader: SseReader | NdjsonReader) -> AsyncIterator[Event]:
    async for piece in pieces:
        for event in reader.feed(piece):
            yield event


async def _until_waiting_on(owners: int, events: AsyncIterator[Event], heard: list[Event]) -> None:
    """Listen until the job is said to wait for so many; nothing else will happen until somebody here does it."""
    async with asyncio.timeout(_AT_ONCE_S):
        async for event in events:
            heard.append(event)
            if event.name == "phase" and len((event.json["why"] or {}).get("waiting_on", [])) == owners:
                return
    raise AssertionError("the stream ended")


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


@asynccontextmanager
async def _curl(proxy: Proxy, path: str, *, key: str) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a stream over HTTP/2, which curl speaks; it has come to a good end after the block."""
    options = ("-sSN", "-f", "--http2", "--max-time", str(WITHIN_S), "--noproxy", "*", "-w", "%{stderr}%{http_version}")
    curl = await asyncio.create_subprocess_exec(
        "curl",
        *options,
        "--cacert",
        str(proxy.certificate),
        "-H",
        f"Authorization: Bearer {key}",
        proxy.origin + path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield _read(_pieces(curl), SseReader())
        _, told = await curl.communicate()
        assert (curl.returncode, told) == (0, b"2")
    finally:
        if curl.returncode is None:
            curl.kill()
            await curl.communicate()


async def _pieces(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    assert process.stdout is not None
    while piece := await process.stdout.read(1 << 16):
        yield piece


async def _logged(gateway: Gateway, path: str, *, since: int) -> dict[str, Any]:
    """The gateway's line on a request for this path, which it writes when that is over."""
    async with asyncio.timeout(_AT_ONCE_S):
        while True:
            lines = [json.loads(line) for line in gateway.log[since:].splitlines() if line.endswith("}")]
            if found := [line for line in lines if line.get("path", "") == _route(path)]:
                line: dict[str, Any] = found[0]
                return line
            await asyncio.sleep(_LOOK_AGAIN_S)


def _route(path: str) -> str:
    return path.partition("?")[0]


async def _ticket(caller: Caller, job: dict[str, Any]) -> str:
    """The address of the job's stream with a new ticket; the job is told its path."""
    answer = await caller.client.post("/v1/stream-tickets", json={"job_id": job["id"]})
    assert answer.status_code == 201, answer.text
    url = str(answer.json()["url"])
    job["path"] = url.partition("?")[0]
    return url


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


async def _cut_off(browser: httpx.AsyncClient, url: str, *, headers: dict[str, str] | None = None) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await browser.get(url, headers=headers)


async def _written_from(caller: Caller, origin: str) -> httpx.Response:
    """What a page of this origin gets that tries to change something."""
    return await caller.client.post("/v1/stream-tickets", headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})


async def _made_key(gateway: Gateway) -> tuple[Key, str]:
    """An administrator's, made beside the gateway that runs."""
    key, text = new_key("ada", Role.ADMIN, now=_now(), expires=None)
    async with open_keys(Settings(data_dir=gateway.data_dir).database, now=_now) as keys:
        await keys.keep(key)
    return key, text


async def _revoke(gateway: Gateway, key: Key) -> None:
    async with open_keys(Settings(data_dir=gateway.data_dir).database, now=_now) as keys:
        assert await keys.revoke(key.id)


def _now() -> datetime:
    return datetime.now(UTC)
