"""The ways out: one for short calls, others for streams, so that neither waits for the other; and the time they give."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from urllib.parse import urlencode

import httpx

from app.upstream.passage import Passage, in_time
from app.upstream.pool import Pool
from app.upstream.transport import PASSAGE, Transport, origin_of

_CALLS_AT_ONCE = 64
# Shorter than servers keep an idle connection (five seconds and more): a request that sets out on one just as it is
# closed there has an unknown outcome.
_KEPT_IDLE_S = 2.0
_PLAIN = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "tripleblind-gateway"}


class Destination:
    """Where short calls go, with one token unless told another, and one deadline for each.

    They pass by httpx's client, which would cost more than all the rest of their way.
    """

    def __init__(self, transport: Transport, url: str, *, token: str, within_s: float | None) -> None:
        where = httpx.URL(url)
        self.within_s = within_s
        self._transport = transport
        self._origin = origin_of(where)
        self._path = where.raw_path.rstrip(b"/")
        self._token = token
        self._headers = [(b"Host", where.netloc), *((name.encode(), said.encode()) for name, said in _PLAIN.items())]

    async def ask(
        self,
        method: str,
        path: str,
        *,
        passage: Passage,
        query: Mapping[str, str | Sequence[str]] | None = None,
        content: bytes | None = None,
        token: str | None = None,
    ) -> httpx.Response:
        """The answer to JSON or to nothing, of which the head has come. To be closed by whoever asked."""
        headers = [*self._headers, (b"Authorization", f"Bearer {token or self._token}".encode())]
        if content is not None:
            headers += [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(content))]
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        return await self._transport.ask(
            *(self._origin, method.encode(), self._path + target.encode(), headers),
            passage=passage,
            content=content or b"",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """`calls` and `changes` carry the Router's token; `access_points` carries none of its own."""

    calls: Destination
    changes: httpx.AsyncClient
    access_points: httpx.AsyncClient


@asynccontextmanager
async def open_clients(url: str, *, token: str, call_timeout_s: float, silence_s: float) -> AsyncIterator[Clients]:
    """Clients of one Router. Redirects are refused, no proxy of the environment is used, and no answer is to be packed."""
    headers = {**_PLAIN, "Authorization": f"Bearer {token}"}
    # Made once: reading the certificates takes longer than all the rest. SSL_CERT_FILE names those of an own authority.
    tls = httpx.create_ssl_context()
    streaming = httpx.Timeout(call_timeout_s, read=silence_s)
    async with (
        Transport(tls, Pool(at_once=_CALLS_AT_ONCE, kept_idle_s=_KEPT_IDLE_S)) as short,
        httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=streaming,
            transport=Transport(tls, Pool()),
            trust_env=False,
        ) as changes,
        httpx.AsyncClient(
            headers=_PLAIN, timeout=streaming, transport=Transport(tls, Pool()), trust_env=False
        ) as points,
    ):
        calls = Destination(short, url, token=token, within_s=call_timeout_s)
        yield Clients(calls=calls, changes=changes, access_points=points)


def deadline_s(client: httpx.AsyncClient) -> float | None:
    """How long a call may take as a whole, and an answer without end until it begins. None: without limit."""
    return client.timeout.connect


def line_within_s(client: httpx.AsyncClient) -> float:
    """How long a line of a stream may take: as long as a call, but no less than the silence that is borne."""
    return max(client.timeout.connect or inf, client.timeout.read or inf)


@asynccontextmanager
async def begun(
    client: httpx.AsyncClient, url: str, *, params: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> AsyncIterator[httpx.Response]:
    """A GET whose answer may go on without end, if it is one; a refusal is to come as a whole in time."""
    passage = Passage()
    told = {PASSAGE: passage}
    async with (
        in_time(deadline_s(client), passage) as limit,
        client.stream("GET", url, params=params, headers=headers, extensions=told) as response,
    ):
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            limit.reschedule(None)
        yield response
