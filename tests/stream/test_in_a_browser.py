"""A real browser at the gateway's door: pages that may listen do, pages that may not read nothing and change nothing."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page

from app.domain.access import Role
from tests.support.browser import (
    Heard,
    PageListener,
    listen,
    open_browser,
    page_at,
    page_without_rules_at,
    run,
    site,
    under_another_name,
)
from tests.support.events import ndjson, numbered
from tests.support.gateway import NDJSON, Caller, Gateway, router_settings, served
from tests.support.keys import key_command, made_key
from tests.support.network import LONG_REGRESSION, REGRESSION, RunningNetwork
from tests.support.relay import Relay, relay

_TICKET = """async ([gateway, key, jobId]) => {
  const headers = {"Authorization": `Bearer ${key}`, "Content-Type": "application/json"};
  const body = JSON.stringify({job_id: jobId});
  const answer = await fetch(`${gateway}/v1/stream-tickets`, {method: "POST", headers, body});
  return await answer.json();
}"""

# What a page tries, each with what it read: nothing, if all is well.
_ATTEMPTS = """async ([gateway, jobId]) => {
  const jobs = `${gateway}/v1/jobs`, kill = `${jobs}/${jobId}/kill`, events = `${jobs}/${jobId}/events`;
  const job = JSON.stringify({job_name: "smuggled", operation: "REGRESSION", dataset: []});
  const read = (url, how) => fetch(url, how).then((answer) => answer.text(), () => "");
  const loaded = (tag, attributes) => new Promise((resolve) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.onload = () => resolve(tag === "iframe" ? element.contentDocument?.body.innerText ?? "" : "loaded");
    element.onerror = () => resolve("");
    document.body.append(element);
  });
  const posted = (url, enctype, fields) => {
    const name = `frame ${Math.random()}`, form = document.createElement("form");
    Object.assign(form, {action: url, method: "post", enctype, target: name});
    for (const [field, value] of fields) form.append(Object.assign(document.createElement("input"), {name: field, value}));
    document.body.append(form);
    const frame = document.createElement("iframe");
    document.body.append(Object.assign(frame, {name}));
    return new Promise((resolve) => {
      frame.onload = () => resolve(frame.contentDocument?.body.innerText ?? "");
      form.submit();
    });
  };
  const heard = (url, withCredentials) => new Promise((resolve) => {
    const source = new EventSource(url, {withCredentials});
    const end = (what) => { source.close(); resolve(what); };
    for (const name of ["snapshot", "message", "status", "phase"]) source.addEventListener(name, ({data}) => end(data));
    source.onerror = () => end("");
  });
  const sandboxed = (script) => new Promise((resolve) => {
    window.addEventListener("message", ({data}) => resolve(data), {once: true});
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts allow-forms";
    frame.srcdoc = `<script>(${script})("${kill}").then((text) => parent.postMessage(text, "*"))</` + "script>";
    document.body.append(frame);
  });
  const written = {method: "POST", headers: {"Content-Type": "application/json"}, body: job};
  return {
    "fetch": await read(jobs),
    "fetch with credentials": await read(jobs, {credentials: "include"}),
    "fetch without CORS": await read(jobs, {mode: "no-cors"}),
    "fetch the feed": await read(`${gateway}/v1/events`),
    "create": await read(jobs, written),
    "create without CORS": await read(jobs, {method: "POST", mode: "no-cors", body: job}),
    "kill": await read(kill, {method: "POST"}),
    "kill without CORS": await read(kill, {method: "POST", mode: "no-cors", credentials: "include"}),
    "kill from nowhere": await sandboxed(
      `(url) => fetch(url, {method: "POST", mode: "no-cors"}).then((answer) => answer.text(), () => "")`
    ),
    "create by a form": await posted(jobs, "text/plain", [[job.slice(0, -1) + ', "labels": {"', '": ""}}']]),
    "kill by a form": await posted(kill, "application/x-www-form-urlencoded", []),
    "kill by a form with parts": await posted(kill, "multipart/form-data", [["a", "b"]]),
    "EventSource": await heard(events, false),
    "EventSource with credentials": await heard(events, true),
    "EventSource of the feed": await heard(`${gateway}/v1/events`, true),
    "img": await loaded("img", {src: jobs}),
    "script": await loaded("script", {src: jobs}),
    "stylesheet": await loaded("link", {rel: "stylesheet", href: jobs}),
    "iframe": await loaded("iframe", {src: jobs}),
  };
}"""
_POST_BY_NAVIGATION = """([url]) => {
  const form = Object.assign(document.createElement("form"), {action: url, method: "post"});
  document.body.append(form);
  form.submit();
}"""
_ASKED = """async ([method, path]) => {
  const answer = await fetch(path, {method});
  return [answer.status, (await answer.json()).code];
}"""
_OPENED = """([url]) => new Promise((resolve) => {
  const source = new EventSource(url);
  source.onopen = () => { source.close(); resolve("open"); };
  source.onerror = () => resolve(source.readyState === EventSource.CLOSED ? "closed" : "cut");
})"""

_IDS = ["another-port", "another-host"]
_ORIGINS: list[Callable[[str], str]] = [str, under_another_name]


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    """A browser without a past."""
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def front_end() -> AsyncIterator[str]:
    """The origin of a site that the gateway's operator has listed."""
    async with site() as origin:
        yield origin


@pytest.fixture
async def stranger() -> AsyncIterator[str]:
    """The origin of a site that nobody has listed."""
    async with site() as origin:
        yield origin


@pytest.fixture
def keyed(running_network: RunningNetwork, tmp_path: Path, front_end: str) -> Iterator[Gateway]:
    """A gateway that asks for keys and serves pages of the front end."""
    settings = {"GATEWAY_AUTH": "key", "GATEWAY_CORS_ORIGINS": front_end, **router_settings(running_network)}
    with served(tmp_path / "gateway", **settings) as gateway:
        yield gateway


@pytest.fixture
async def key(keyed: Gateway) -> str:
    """An administrator's."""
    return await _new_key(keyed)


@pytest.fixture
async def keyed_caller(keyed: Gateway, key: str, running_network: RunningNetwork) -> AsyncIterator[Caller]:
    """A program that has it."""
    async with keyed.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        yield Caller(keyed, running_network, client)


@pytest.fixture
async def keyed_long_job(keyed_caller: Caller) -> AsyncIterator[str]:
    """A job that calculates until it is killed, of the gateway that asks for keys."""
    job_id = await keyed_caller.running(LONG_REGRESSION, name="long")
    yield job_id
    await keyed_caller.client.post(f"/v1/jobs/{job_id}/kill")
    await keyed_caller.until_end(job_id)


async def test_eventsource_on_the_gateways_own_origin_streams_a_job_to_its_end(
    browser: BrowserContext, caller: Caller
) -> None:
    """And then stays away: without the 204 it would come back for ever."""
    page = await page_at(browser, f"{caller.gateway.url}/")
    job = await caller.waiting(REGRESSION)

    listener = await listen(page, f"/v1/jobs/{job['id']}/events")
    await listener.hears("phase", '"waiting_on_permission"')
    caller.accept(job)
    await listener.closed()

    assert await _numbered(listener) == await _replayed(caller, job["id"])


async def test_a_listed_page_trades_its_key_for_a_stream_that_survives_cuts(
    browser: BrowserContext, front_end: str, keyed_caller: Caller, key: str
) -> None:
    """EventSource sends no key, and on its own reconnect the ticket is used up: the cookie must do."""
    job = await keyed_caller.waiting(REGRESSION)
    page = await page_at(browser, front_end)

    async with relay(keyed_caller.gateway.url) as between:
        listener = await _listening(page, between.url, key=key, job_id=job["id"])
        await listener.hears("phase", '"waiting_on_permission"')
        await between.drop()
        await listener.opened(2)
        keyed_caller.accept(job)
        await listener.hears("phase", '"in_progress"')
        await between.drop()
        await listener.closed()

    assert await _numbered(listener) == await _replayed(keyed_caller, job["id"])


@pytest.mark.full
async def test_a_listed_pages_stream_goes_on_after_the_gateway_was_killed_and_started_again(
    browser: BrowserContext, front_end: str, keyed: Gateway, key: str, running_network: RunningNetwork
) -> None:
    """The page has nothing to do about an update of the gateway; what the cookie stands for is on disk."""
    page = await page_at(browser, front_end)

    async with relay(keyed.url) as between:
        async with _caller(keyed, key, running_network) as before:
            job = await before.waiting(REGRESSION)
        listener = await _listening(page, between.url, key=key, job_id=job["id"])
        await listener.hears("phase", '"waiting_on_permission"')
        _killed_and_restarted(keyed, between)
        await listener.opened(2)
        async with _caller(keyed, key, running_network) as after:
            after.accept(job)
            await listener.closed()
            assert await _numbered(listener) == await _replayed(after, job["id"])


async def test_a_page_that_is_not_listed_has_no_use_for_a_key_a_ticket_or_the_cookie(
    browser: BrowserContext, front_end: str, stranger: str, keyed_caller: Caller, key: str
) -> None:
    """A script that got hold of one must not be able to use it from a page of its own, nor to spoil it for its owner."""
    gateway = keyed_caller.gateway.url
    job_id = (await keyed_caller.waiting(REGRESSION))["id"]
    listed, unlisted = await page_at(browser, front_end), await page_at(browser, stranger)
    ticket = (await run(listed, _TICKET, gateway, key, job_id))["url"]

    denied = await _failure(unlisted, _TICKET, gateway, key, job_id)
    with_ticket = await listen(unlisted, gateway + ticket, with_credentials=True)
    await with_ticket.closed()
    owner = await listen(listed, gateway + ticket, with_credentials=True)
    await owner.hears("phase", '"waiting_on_permission"')
    with_cookie = await listen(unlisted, gateway + ticket, with_credentials=True)
    await with_cookie.closed()

    assert "Failed to fetch" in denied
    assert await with_ticket.heard() == await with_cookie.heard() == []
    assert [cookie["name"] for cookie in await browser.cookies(gateway + ticket)] == ["gateway-stream"]


@pytest.mark.full
async def test_with_keys_a_page_that_is_not_listed_changes_nothing_in_a_browser_that_listens(
    browser: BrowserContext, front_end: str, stranger: str, keyed_long_job: str, keyed_caller: Caller
) -> None:
    """Another port is the same site to a cookie, so that the cookie alone protects from nobody there."""
    gateway = keyed_caller.gateway
    page = await page_at(browser, front_end)
    listener = await _listening(page, gateway.url, key=await _new_key(gateway), job_id=keyed_long_job)
    await listener.hears("phase", '"in_progress"')

    await _refused_everything(await page_at(browser, stranger), keyed_caller, keyed_long_job)


@pytest.mark.parametrize("origin", _ORIGINS, ids=_IDS)
async def test_without_keys_a_page_from_elsewhere_reads_nothing_and_changes_nothing(
    browser: BrowserContext, stranger: str, caller: Caller, long_job: str, origin: Callable[[str], str]
) -> None:
    """Every page that a developer opens can reach loopback, and there is no key that it would lack."""
    page = await page_at(browser, origin(stranger))

    await _refused_everything(page, caller, long_job)


@pytest.mark.parametrize("origin", _ORIGINS, ids=_IDS)
async def test_without_keys_a_page_from_elsewhere_cannot_take_the_visitor_along_to_a_write(
    browser: BrowserContext, stranger: str, caller: Caller, long_job: str, origin: Callable[[str], str]
) -> None:
    """A link to the gateway may be followed; a form that is sent there by navigating is still a write."""
    page = await page_at(browser, origin(stranger))

    async with page.expect_navigation() as navigation:
        await run(page, _POST_BY_NAVIGATION, f"{caller.gateway.url}/v1/jobs/{long_job}/kill")
    answer = await navigation.value

    assert answer is not None
    assert (answer.status, (await answer.json())["code"]) == (403, "origin-not-allowed")
    assert (await caller.get(f"/v1/jobs/{long_job}"))["phase"] == "in_progress"


async def test_without_keys_a_rebound_name_gets_421_for_everything(
    browser: BrowserContext, caller: Caller, long_job: str
) -> None:
    """A page whose name moved to loopback is of one origin with the gateway: only the Host header tells."""
    page = await page_without_rules_at(browser, under_another_name(caller.gateway.url))
    reads = ("/", "/docs", "/openapi.json", "/livez", "/v1/jobs", f"/v1/jobs/{long_job}", "/v1/events", "/nowhere")
    writes = ("/v1/jobs", f"/v1/jobs/{long_job}/kill")
    asked = [*(("GET", path) for path in reads), *(("POST", path) for path in writes)]
    answers = [await run(page, _ASKED, *one) for one in asked]

    assert answers == [[421, "host-not-allowed"] for _ in asked]
    assert await run(page, _OPENED, "/v1/events") == "closed"
    assert (await caller.get(f"/v1/jobs/{long_job}"))["phase"] == "in_progress"


async def test_a_stream_ends_with_its_key_and_is_not_let_in_again(
    browser: BrowserContext, front_end: str, keyed_caller: Caller
) -> None:
    """Whoever lost a laptop revokes its key; EventSource on it must neither stay nor come back by its cookie."""
    gateway = keyed_caller.gateway
    lost = await _new_key(gateway)
    job = await keyed_caller.waiting(REGRESSION)
    page = await page_at(browser, front_end)
    listener = await _listening(page, gateway.url, key=lost, job_id=job["id"])
    await listener.hears("phase", '"waiting_on_permission"')

    await key_command(gateway.data_dir, "revoke", lost.split("_")[1])
    await listener.closed()
    keyed_caller.accept(job)
    await keyed_caller.until_end(job["id"])

    heard = await _numbered(listener)
    whole = await _replayed(keyed_caller, job["id"])
    assert heard == whole[: len(heard)]
    assert heard[-1][1] != "end"


@pytest.mark.full
async def test_after_a_key_was_revoked_another_opens_the_stream_in_the_same_browser(
    browser: BrowserContext, front_end: str, keyed_caller: Caller, key: str
) -> None:
    """The browser still shows the cookie of the revoked one, beside a ticket that is good."""
    gateway = keyed_caller.gateway
    replaced = await _new_key(gateway)
    job_id = (await keyed_caller.waiting(REGRESSION))["id"]
    page = await page_at(browser, front_end)
    first = await _listening(page, gateway.url, key=replaced, job_id=job_id)
    await first.hears("phase", '"waiting_on_permission"')
    await key_command(gateway.data_dir, "revoke", replaced.split("_")[1])
    await first.closed()

    second = await _listening(page, gateway.url, key=key, job_id=job_id)
    await second.opened(1)

    await second.hears("phase", '"waiting_on_permission"')


async def _listening(page: Page, gateway: str, *, key: str, job_id: str) -> PageListener:
    """What a front end does: it trades its key for a ticket, and opens the stream with that."""
    ticket = await run(page, _TICKET, gateway, key, job_id)
    return await listen(page, gateway + ticket["url"], with_credentials=True)


async def _refused_everything(page: Page, caller: Caller, job_id: str) -> None:
    """The page tries all it can; it has read nothing, the gateway refused each attempt, and all is as before."""
    before, logged = await _ids(caller), len(caller.gateway.log)

    attempts: dict[str, str] = await run(page, _ATTEMPTS, caller.gateway.url, job_id)

    assert attempts == dict.fromkeys(attempts, "")
    assert await _ids(caller) == before
    assert (await caller.get(f"/v1/jobs/{job_id}"))["phase"] == "in_progress"
    assert _refusals(caller.gateway.log[logged:]) == len(attempts)


def _refusals(log: str) -> int:
    return sum(line.get("status") == 403 for line in map(json.loads, log.splitlines()))


async def _ids(caller: Caller) -> list[str]:
    """Once the gateway knows all that others have done on this network before it was started."""
    page = await caller.eventually("/v1/jobs", lambda page: not page["stale"])
    return [job["id"] for job in page["items"]]


async def _failure(page: Page, script: str, *arguments: Any) -> str:
    """How it was refused; empty when it was not."""
    told = await run(page, f"(given) => ({script})(given).then(() => '', String)", *arguments)
    return str(told)


async def _numbered(listener: PageListener) -> list[Heard]:
    return [event for event in await listener.heard() if event[1] != "snapshot"]


async def _replayed(caller: Caller, job_id: str) -> list[Heard]:
    """The whole stream, as a program gets it that was never cut."""
    events = numbered(ndjson(await caller.bytes_of(f"/v1/jobs/{job_id}/events", headers=NDJSON)))
    return [(event.id, event.name, event.data) for event in events]


@asynccontextmanager
async def _caller(gateway: Gateway, key: str, network: RunningNetwork) -> AsyncIterator[Caller]:
    async with gateway.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        yield Caller(gateway, network, client)


def _killed_and_restarted(gateway: Gateway, between: Relay) -> None:
    gateway.kill9()
    gateway.start()
    between.target = gateway.url


async def _new_key(gateway: Gateway) -> str:
    return (await made_key(gateway.data_dir, "ada", Role.ADMIN))[1]
