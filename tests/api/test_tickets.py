"""Tickets and the cookie they are traded for: how a browser's stream is let in, and what it is not let into."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from tests.support.events import numbered, sse
from tests.support.gateway import Caller
from tests.support.keys import Guarded, guarded_gateway, made_key, revoked_key, with_key
from tests.support.network import REGRESSION, RunningNetwork

FEED = "/v1/events"
LISTED = "https://app.example"
FAR_FUTURE_US = 2**52
MOST_PASSES = 1_000
OVER_TLS = {"X-Forwarded-Proto": "https"}
TICKETS = "/v1/stream-tickets"


@pytest.fixture
async def vera(guarded: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer with her key."""
    async with guarded.client("vera") as client:
        yield client


@pytest.fixture
async def browser(guarded: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    """Without a key; it keeps cookies, and sends them to the paths that they are for."""
    async with guarded.gateway.client() as client:
        yield client


@pytest.fixture
async def sams(guarded: Guarded, running_network: RunningNetwork) -> AsyncIterator[Caller]:
    """Sam, who creates the jobs."""
    async with guarded.client("sam") as client:
        yield Caller(guarded.gateway, running_network, client)


@pytest.fixture(scope="module")
def listing(running_network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A gateway that asks for keys and serves another site's pages; it may be started again."""
    folder = tmp_path_factory.mktemp("listing")
    with guarded_gateway(folder, running_network, GATEWAY_CORS_ORIGINS=LISTED) as gateway:
        yield gateway


async def ticket(client: httpx.AsyncClient, job_id: str | None = None) -> str:
    """The address that is good once."""
    answer = await client.post(TICKETS, json={"job_id": job_id} if job_id else {})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


async def opened(client: httpx.AsyncClient, url: str, **headers: str) -> httpx.Response:
    """A stream's answer and its first bytes, or the refusal."""
    async with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 200:
            await anext(answer.aiter_raw())
        else:
            await answer.aread()
    return answer


def attributes(answer: httpx.Response) -> dict[str, str]:
    """Those of the cookie that are set."""
    (morsel,) = SimpleCookie(answer.headers["Set-Cookie"].replace("; Partitioned", "")).values()
    partitioned = {"partitioned": "yes"} if "; Partitioned" in answer.headers["Set-Cookie"] else {}
    return {name: str(value) for name, value in morsel.items() if value} | partitioned


# What a ticket is good for


async def test_a_ticket_opens_its_stream_without_a_key(vera: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
    """EventSource can send none."""
    answer = await vera.post(TICKETS, json={})
    told = answer.json()

    stream = await opened(browser, told["url"])

    assert answer.status_code == 201
    assert told.keys() == {"ticket", "url", "expires"}
    assert told["url"] == f"{FEED}?ticket={told['ticket']}"
    assert stream.status_code == 200


async def test_without_a_body_a_ticket_is_for_the_feed(vera: httpx.AsyncClient) -> None:
    """The shortest question."""
    assert (await vera.post(TICKETS)).json()["url"].startswith(f"{FEED}?ticket=")


async def test_a_ticket_is_good_once(vera: httpx.AsyncClient, guarded: Guarded) -> None:
    """Somebody else who reads the address later finds it used."""
    url = await ticket(vera)
    async with guarded.gateway.client() as first, guarded.gateway.client() as second:
        answers = [await opened(first, url), await opened(second, url)]

    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[1].json()["code"] == "key-invalid"
    assert "Set-Cookie" not in answers[1].headers


async def test_of_many_who_come_at_once_one_is_let_in(vera: httpx.AsyncClient, guarded: Guarded) -> None:
    """A race for it has one winner."""
    url = await ticket(vera)
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(guarded.gateway.client()) for _ in range(6)]
        answers = await asyncio.gather(*(opened(one, url) for one in browsers))

    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 5]
    assert len([answer for answer in answers if "Set-Cookie" in answer.headers]) == 1


async def test_a_ticket_and_its_cookie_are_good_for_one_path(
    vera: httpx.AsyncClient, sams: Caller, guarded: Guarded
) -> None:
    """Neither for another job's stream, nor for the feed, nor for anything that is no stream."""
    job, other = [(await sams.create(REGRESSION))["id"] for _ in range(2)]
    url = await ticket(vera, job)
    query = url.partition("?")[2]
    elsewhere = [f"/v1/jobs/{other}/events", FEED, f"/v1/jobs/{job}", f"/v1/jobs/{job}/history", "/v1/jobs", TICKETS]

    async with guarded.gateway.client() as stranger:
        by_ticket = [(await opened(stranger, f"{path}?{query}")).status_code for path in elsewhere]
        let_in = await opened(stranger, url)
        cookie = let_in.headers["Set-Cookie"].partition(";")[0]
        stranger.cookies.clear()
        by_cookie = [(await opened(stranger, path, Cookie=cookie)).status_code for path in elsewhere]
        again = await opened(stranger, f"/v1/jobs/{job}/events", Cookie=cookie)

    assert by_ticket == by_cookie == [401] * len(elsewhere)
    assert (let_in.status_code, again.status_code) == (200, 200)


async def test_a_ticket_for_a_job_that_does_not_exist_is_refused(vera: httpx.AsyncClient) -> None:
    """Told where it is asked, and not later by a stream that does not open."""
    answer = await vera.post(TICKETS, json={"job_id": "11111111-1111-4111-8111-111111111111"})

    assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")


async def test_a_cookie_buys_no_ticket(vera: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
    """Or it would prolong itself for ever, and for every path."""
    cookie = (await opened(browser, await ticket(vera))).headers["Set-Cookie"].partition(";")[0]

    answer = await browser.post(TICKETS, json={}, headers={"Cookie": cookie})

    assert (answer.status_code, answer.json()["code"]) == (401, "key-missing")


async def test_a_browser_reconnects_by_itself_and_misses_nothing(
    vera: httpx.AsyncClient, browser: httpx.AsyncClient, sams: Caller
) -> None:
    """The same address, the ticket used up, the cookie, and where it was: what EventSource sends."""
    job_id = (await sams.create(REGRESSION))["id"]
    url = await ticket(vera, job_id)
    async with browser.stream("GET", url) as answer:
        heard = b""
        async for piece in answer.aiter_raw():
            heard += piece
            if events := numbered(sse(heard)):
                break

    await sams.client.post(f"/v1/jobs/{job_id}/cancel")
    rest = await browser.get(url, headers={"Last-Event-ID": str(events[-1].id)})
    over = await browser.get(url, headers={"Last-Event-ID": str(sse(rest.content)[-1].id)})

    whole = numbered(sse((await vera.get(f"/v1/jobs/{job_id}/events")).content))
    assert [event.raw for event in [*events, *numbered(sse(rest.content))]] == [event.raw for event in whole]
    assert "Set-Cookie" not in rest.headers
    assert over.status_code == 204


async def test_a_revoked_keys_tickets_and_cookies_are_refused(guarded: Guarded) -> None:
    """What was got with it goes with it."""
    key, text = await made_key(guarded.gateway.data_dir, "gone")
    async with with_key(guarded.gateway, text) as gone, guarded.gateway.client() as browser:
        used, unused = await ticket(gone), await ticket(gone)
        let_in = (await opened(browser, used)).status_code
        await revoked_key(guarded.gateway.data_dir, key)

        by_cookie = (await opened(browser, used)).status_code
        browser.cookies.clear()
        by_ticket = (await opened(browser, unused)).status_code

    assert (let_in, by_cookie, by_ticket) == (200, 401, 401)


async def test_a_new_ticket_lets_in_who_still_has_the_cookie_of_a_revoked_key(
    guarded: Guarded, vera: httpx.AsyncClient
) -> None:
    """A page cannot drop an HttpOnly cookie: with a new key it must get on all the same, and as its new self."""
    key, text = await made_key(guarded.gateway.data_dir, "gone")
    async with with_key(guarded.gateway, text) as gone, guarded.gateway.client() as browser:
        old = await opened(browser, await ticket(gone))
        await revoked_key(guarded.gateway.data_dir, key)

        new = await opened(browser, await ticket(vera))
        again = await opened(browser, FEED)

    assert (old.status_code, new.status_code, again.status_code) == (200, 200, 200)
    assert new.headers["Set-Cookie"] != old.headers["Set-Cookie"]


async def test_too_many_tickets_of_one_key_are_refused(guarded: Guarded, vera: httpx.AsyncClient) -> None:
    """A page that asks in a loop; others' keys are not concerned."""
    key, text = await made_key(guarded.gateway.data_dir, "loop")
    hold_passes(guarded.gateway.data_dir, key.id, MOST_PASSES - 1)
    async with with_key(guarded.gateway, text) as loop:
        answers = [await loop.post(TICKETS, json={}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 429]
    assert answers[1].json()["code"] == "too-many-attempts"
    assert int(answers[1].headers["Retry-After"]) > 0
    assert await ticket(vera)


def hold_passes(data_dir: Path, key_id: str, how_many: int) -> None:
    """As if it had asked so often."""
    rows = [(f"{key_id} {n}", None, key_id, FEED, FAR_FUTURE_US) for n in range(how_many)]
    with closing(sqlite3.connect(data_dir / "gateway.db", timeout=30)) as database, database:
        database.executemany(
            "INSERT INTO stream_pass (ticket, cookie, key_id, path, expires_us) VALUES (?,?,?,?,?)", rows
        )


async def test_no_ticket_and_no_cookie_is_in_the_log(
    vera: httpx.AsyncClient, browser: httpx.AsyncClient, guarded: Guarded
) -> None:
    """The log is read by more people than may watch."""
    url = await ticket(vera)
    cookie = (await opened(browser, url)).headers["Set-Cookie"].partition(";")[0]
    browser.cookies.clear()
    await opened(browser, url)

    log = guarded.gateway.log
    assert '"request"' in log
    assert url.partition("=")[2] not in log
    assert cookie.partition("=")[2] not in log
    assert [who for who, key in guarded.keys.items() if key in log] == []


# The cookie


async def test_over_http_the_cookie_is_for_this_site_alone(vera: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
    """A browser would not keep a Secure one, and with the browser closed it is gone."""
    answer = await opened(browser, await ticket(vera))

    assert attributes(answer) == {"path": FEED, "httponly": "True", "samesite": "Strict"}


async def test_behind_a_trusted_proxy_with_tls_the_cookie_is_secure(
    vera: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    """The proxy says how the browser came."""
    answer = await opened(browser, await ticket(vera), **OVER_TLS)

    assert attributes(answer) == {"path": FEED, "httponly": "True", "samesite": "Strict", "secure": "True"}


async def test_an_address_that_is_no_trusted_proxy_is_not_believed(vera: httpx.AsyncClient, guarded: Guarded) -> None:
    """Anybody can write the header."""
    url = await ticket(vera)
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(transport=transport, base_url=guarded.gateway.url) as elsewhere:
        answer = await opened(elsewhere, url, **OVER_TLS)

    assert attributes(answer) == {"path": FEED, "httponly": "True", "samesite": "Strict"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (OVER_TLS, {"samesite": "None", "secure": "True", "partitioned": "yes"}),
        ({}, {"samesite": "Strict"}),
    ],
)
async def test_where_other_sites_pages_are_listed_the_cookie_goes_along_over_tls(
    listing: Guarded, headers: dict[str, str], expected: dict[str, str]
) -> None:
    """From a listed page EventSource sends it cross-site, in a jar of that page's own; without TLS no browser would."""
    async with listing.client("vera") as vera, listing.gateway.client() as browser:
        answer = await opened(browser, await ticket(vera), Origin=LISTED, **headers)

    assert attributes(answer) == {"path": FEED, "httponly": "True", **expected}
    assert answer.headers["Access-Control-Allow-Origin"] == LISTED
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


async def test_tickets_and_cookies_outlive_the_process(listing: Guarded) -> None:
    """An update of the gateway is nothing that a page has to know of."""
    gateway = listing.gateway
    async with listing.client("vera") as vera, gateway.client() as browser:
        used, unused = await ticket(vera), await ticket(vera)
        cookie = (await opened(browser, used)).headers["Set-Cookie"].partition(";")[0]

    await asyncio.to_thread(gateway.restart)

    async with gateway.client() as browser:
        by_cookie = (await opened(browser, used, Cookie=cookie)).status_code
        browser.cookies.clear()
        by_ticket = (await opened(browser, unused)).status_code
        browser.cookies.clear()
        used_up = (await opened(browser, unused)).status_code

    assert (by_cookie, by_ticket, used_up) == (200, 200, 401)


# Without keys


async def test_without_keys_a_ticket_is_answered_all_the_same(caller: Caller) -> None:
    """One front end for both: it asks for a ticket and opens what it is told, as often as it likes."""
    job_id = (await caller.create(REGRESSION))["id"]
    for wanted in (None, job_id):
        url = await ticket(caller.client, wanted)
        answers = [await opened(caller.client, url) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 200]
        assert [answer.headers.get("Set-Cookie") for answer in answers] == [None, None]
