"""Other people's clients of an event stream, each left to its own ways of coming back after a cut until the job is over.

A client is a function of an address and of a Hearing, to which it tells what it hears; it returns when it is done for good.
"""

import asyncio
import json
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Self
from urllib.parse import urlsplit

import httpx
from httpx_sse import aconnect_sse
from playwright.async_api import BrowserContext, Page, Route

import tests.clients
from tests.support.browser import Heard, page_at
from tests.support.events import SseReader
from tests.support.npm import NODE, packages

_HERE = Path(tests.clients.__file__).parent

_PIECE = 1 << 16
_LINE_AT_MOST = 1 << 24
_PATIENCE = httpx.Timeout(60.0)

# What is heard goes to the test in heaps: each on its own would be a round trip.
_WATCH = """async ([program, who, url]) => {
  const {watch} = await import(program);
  const heap = [];
  const hand = () => { if (heap.length) tell(who, heap.splice(0)); };
  const put = (event) => { if (heap.push(event) === 1) setTimeout(hand); };
  await (program.endsWith("/eventsource.mjs") ? watch(EventSource, url, put) : watch(url, put));
  hand();
}"""


class Hearing:
    """What a client has heard so far, snapshots apart."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._over = False
        self._news = asyncio.Event()

    def tell(self, *events: Heard) -> None:
        """These came, in this order."""
        self.heard += [(number, name, data) for number, name, data in events if name != "snapshot"]
        self._news.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._news.set()

    async def hears(self, saying: str) -> None:
        """Return once an event has come with these words in it, or none can come any more."""
        while not self._over and not any(saying in data for _, _, data in self.heard):
            self._news.clear()
            await self._news.wait()


Client = Callable[[str, Hearing], Awaitable[None]]


async def curl(url: str, hearing: Hearing) -> None:
    """`curl -N`, again and again: whole events count, and the id of the last is where it goes on."""
    resume: list[str] = []
    while not _is_over(hearing):
        async with _program("curl", "-q", "--noproxy", "*", "--silent", "-N", *resume, url) as stdout:
            reader = SseReader()
            while piece := await stdout.read(_PIECE):
                for event in reader.feed(piece):
                    hearing.tell((event.id, event.name, event.data))
                    resume = ["-H", f"Last-Event-ID: {event.id}"]


async def httpx_sse(url: str, hearing: Hearing) -> None:
    """httpx-sse, which leaves coming back to whoever uses it."""
    resume: dict[str, str] = {}
    async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False, verify=False) as client:
        while not _is_over(hearing):
            with suppress(httpx.TransportError):
                async with aconnect_sse(client, "GET", url, headers=resume) as source:
                    async for event in source.aiter_sse():
                        hearing.tell((int(event.id), event.event, event.data))
                        resume = {"Last-Event-ID": event.id}


async def eventsource_of_npm(url: str, hearing: Hearing) -> None:
    """The package `eventsource`, in Node."""
    program = (_HERE / "eventsource.mjs").as_uri()
    with (_HERE / "node.mjs").open("rb") as script:
        node = [str(NODE), "--input-type=module", "-", program, url]
        # A module that comes on standard input finds packages where the process stands.
        async with _program(*node, stdin=script, cwd=await asyncio.to_thread(_project)) as stdout:
            while line := await stdout.readline():
                hearing.tell(json.loads(line))


class BrowserPage:
    """A page with scripts of our own and packages in it, and the clients that run there."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._hearings: dict[str, Hearing] = {}

    @classmethod
    async def at(cls, origin: str, browser: BrowserContext) -> Self:
        """A new tab at somebody's site."""
        opened = cls(await page_at(browser, origin))
        packages_at = await asyncio.to_thread(_project)
        await opened.serve("/clients/", _HERE)
        await opened.serve("/packages/", packages_at / "node_modules")
        await opened._page.expose_function("tell", opened._tell)
        return opened

    async def serve(self, path: str, folder: Path) -> None:
        """The site has the scripts of a folder there; packages import each other's without the ending."""

        async def answer(route: Route) -> None:
            script = folder / urlsplit(route.request.url).path.removeprefix(path)
            await route.fulfill(path=script if script.suffix else f"{script}.js", content_type="text/javascript")

        await self._page.route(f"**{path}**", answer)

    async def eventsource(self, url: str, hearing: Hearing) -> None:
        """The browser's own."""
        await self._watch("/clients/eventsource.mjs", url, hearing)

    async def fetch_event_source(self, url: str, hearing: Hearing) -> None:
        """The package `@microsoft/fetch-event-source`."""
        await self._watch("/clients/fetch-event-source.mjs", url, hearing)

    async def _watch(self, program: str, url: str, hearing: Hearing) -> None:
        who = f"{program} {url}"
        self._hearings[who] = hearing
        await self._page.evaluate(_WATCH, [program, who, url])

    def _tell(self, who: str, events: list[Heard]) -> None:
        self._hearings[who].tell(*events)


def _is_over(hearing: Hearing) -> bool:
    return bool(hearing.heard) and hearing.heard[-1][1] == "end"


def _project() -> Path:
    return packages(_HERE).parent


@asynccontextmanager
async def _program(
    *command: str, stdin: IO[bytes] | int = DEVNULL, cwd: Path | None = None
) -> AsyncIterator[StreamReader]:
    """What it says on standard output; it does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=PIPE, stderr=DEVNULL, cwd=cwd, limit=_LINE_AT_MOST
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    finally:
        await process.wait()
