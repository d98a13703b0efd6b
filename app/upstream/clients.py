"""The HTTP clients: one for short calls, one for streams, so that neither waits for the other; and the time they give."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf

import httpx

_CALLS_AT_ONCE = 64
# Shorter than servers keep an idle connection (five seconds and more): a request that sets out on one just as it is
# closed there has an unknown outcome.
_KEPT_IDLE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """`calls` and `changes` carry the Router's token; `access_points` carries none of its own."""

    calls: httpx.AsyncClient
    changes: httpx.AsyncClient
    access_points: httpx.AsyncClient


@asynccontextmanager
async def open_clients(url: str, *, token: str, call_timeout_s: float, silence_s: float) -> AsyncIterator[Clients]:
    """Clients of one Router. Redirects are refused, no proxy of the environment is used, and no answer is to be packed."""
    plain = {"Accept-Encoding": "identity"}
    headers = {**plain, "Authorization": f"Bearer {token}"}
    limits = httpx.Limits(
        max_connections=_CALLS_AT_ONCE, max_keepalive_connections=_CALLS_AT_ONCE, keepalive_expiry=_KEPT_IDLE_S
    )
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    # Made once: reading the certificates takes longer than all the rest. SSL_CERT_FILE names those of an own authority.
    tls = httpx.create_ssl_context()
    streaming = httpx.Timeout(call_timeout_s, read=silence_s)
    async with (
        httpx.AsyncClient(
            base_url=url, headers=headers, timeout=call_timeout_s, limits=limits, trust_env=False, verify=tls
        ) as calls,
        httpx.AsyncClient(
            base_url=url, headers=headers, timeout=streaming, limits=unlimited, trust_env=False, verify=tls
        ) as changes,
        httpx.AsyncClient(headers=plain, timeout=streaming, limits=unlimited, trust_env=False, verify=tls) as points,
    ):
        yield Clients(calls=calls, changes=changes, access_points=points)


def deadline_s(client: httpx.AsyncClient) -> float | None:
    """How long a call may take as a whole, and an answer without end until it begins. None: without limit."""
    return client.timeout.connect


def line_within_s(client: httpx.AsyncClient) -> float:
    """How long a line of a stream may take: as long as a call, but no less than the silence that is borne."""
    return max(client.timeout.connect or inf, client.timeout.read or inf)


class Passage:
    """How far a request has come: whether it may have been `sent`, and whether its answer has `begun`."""

    def __init__(self) -> None:
        self.sent = False
        self.begun = False
        self.when_sent: Callable[[], None] | None = None
        self._opened = False

    @property
    def found_nobody(self) -> bool:
        """Whether it set out on a connection from before and nothing came back by it."""
        return not (self._opened or self.begun)

    async def note(self, event: str, _facts: Mapping[str, object]) -> None:
        """What httpx tells of a request on its way."""
        match event:
            case "connection.connect_tcp.started":
                self._opened = True
            case "http11.send_request_headers.started":
                self.sent = True
            case "http11.receive_response_headers.complete":
                self.begun = True
            case "http11.receive_response_headers.started" if self.when_sent is not None:
                self.when_sent()


@asynccontextmanager
async def in_time(within_s: float | None, passage: Passage) -> AsyncIterator[asyncio.Timeout]:
    """Everything inside, together. Raises what httpx raises when one step of it takes too long.

    httpx limits each step alone, and whoever sends a byte at a time is never late.
    """
    try:
        async with asyncio.timeout(within_s) as limit:
            yield limit
    except TimeoutError as error:
        if not limit.expired():
            raise
        late = httpx.ReadTimeout if passage.sent else httpx.ConnectTimeout
        raise late("The whole of it took too long.") from error


@asynccontextmanager
async def begun(
    client: httpx.AsyncClient, url: str, *, params: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> AsyncIterator[httpx.Response]:
    """A GET whose answer may go on without end, if it is one; a refusal is to come as a whole in time."""
    passage = Passage()
    told = {"trace": passage.note}
    async with (
        in_time(deadline_s(client), passage) as limit,
        client.stream("GET", url, params=params, headers=headers, extensions=told) as response,
    ):
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            limit.reschedule(None)
        yield response
