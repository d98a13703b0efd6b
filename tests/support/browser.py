"""A real browser for tests: its pages, the sites they come from, and the streams that they listen to."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import BrowserContext, JSHandle, Page, async_playwright

from tests.browser.chromium import NoBrowser, chromium
from tests.support.loopback import answers, loopback

WITHIN_S = 40.0
ELSEWHERE = "evil.example"

_OPTIONS = ("--no-proxy-server", f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1")
_PAGE = b"<!doctype html><title>A page</title><link rel=icon href=data:,>"
_LISTEN = """([url, withCredentials]) => {
  const source = new EventSource(url, {withCredentials});
  const listener = {source, heard: [], opened: 0, expected: []};
  const look = () => { listener.expected = listener.expected.filter((met) => !met()); };
  const met = (holds) => holds() || (source.readyState === EventSource.CLOSED ? "closed" : false);
  listener.until = (holds) => new Promise((resolve) => {
    listener.expected.push(() => met(holds) && (resolve(met(holds)), true));
    look();
  });
  for (const name of ["snapshot", "status", "message", "phase", "upstream", "end"]) {
    source.addEventListener(name, (event) => {
      listener.heard.push([Number(event.lastEventId), name, event.data]);
      look();
    });
  }
  source.addEventListener("open", () => { listener.opened += 1; look(); });
  source.addEventListener("error", look);
  return listener;
}"""

Heard = tuple[int, str, str]


class PageListener:
    """An EventSource in a page, left to itself: nothing here reconnects it."""

    def __init__(self, handle: JSHandle) -> None:
        self._handle = handle

    async def opened(self, times: int) -> None:
        """Return once it has been let in so many times."""
        await self._until(f"listener.opened >= {times}")

    async def hears(self, name: str, saying: str = "") -> None:
        """Return once an event of this name has come with these words in it."""
        await self._until(
            "listener.heard.some(([, name, data]) => name === wanted[0] && data.includes(wanted[1]))", name, saying
        )

    async def closed(self) -> None:
        """Return once it has given up for good."""
        await self._until("listener.source.readyState === EventSource.CLOSED")

    async def heard(self) -> list[Heard]:
        """Every event so far: its id, its name and its data."""
        return [(number, name, data) for number, name, data in await self._handle.evaluate("({heard}) => heard")]

    async def _until(self, condition: str, *wanted: str) -> None:
        waiting = f"(listener, wanted) => listener.until(() => {condition})"
        async with asyncio.timeout(WITHIN_S):
            met = await self._handle.evaluate(waiting, list(wanted))
        assert met is True, f"the browser gave the stream up, and expected was {condition} {wanted}"


@asynccontextmanager
async def open_browser() -> AsyncIterator[BrowserContext]:
    """A browser without a past, for which evil.example is on this machine."""
    try:
        found = chromium()
    except NoBrowser as none:
        pytest.fail(str(none), pytrace=False)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found.program, env={**os.environ, **found.environment}, args=_OPTIONS
        )
        try:
            yield await browser.new_context(locale="en-US")
        finally:
            await browser.close()


@asynccontextmanager
async def site() -> AsyncIterator[str]:
    """The origin of a web site of somebody's, which has an empty page at every address."""
    async with loopback(answers(200, _PAGE, kind="text/html")) as server:
        yield server.url


def under_another_name(url: str) -> str:
    """The same place as the browser finds it under evil.example."""
    return url.replace("127.0.0.1", ELSEWHERE)


async def page_at(browser: BrowserContext, url: str) -> Page:
    """A new tab that shows what is at this address."""
    page = await browser.new_page()
    await page.goto(url)
    return page


async def page_without_rules_at(browser: BrowserContext, url: str) -> Page:
    """A new tab at this address, whose own Content-Security-Policy is not in force: somebody else could have sent it."""
    assert browser.browser is not None
    apart = await browser.browser.new_context(locale="en-US", bypass_csp=True)
    page = await apart.new_page()
    await page.goto(url)
    return page


async def listen(page: Page, url: str, *, with_credentials: bool = False) -> PageListener:
    """What a page does that opens an EventSource."""
    return PageListener(await page.evaluate_handle(_LISTEN, [url, with_credentials]))


async def run(page: Page, script: str, *arguments: Any) -> Any:
    """What a function in the page comes to, in bounded time; it may be asynchronous and takes its arguments as a list."""
    async with asyncio.timeout(WITHIN_S):
        return await page.evaluate(script, list(arguments))
