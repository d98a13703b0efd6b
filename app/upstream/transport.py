"""HTTP/1.1 beneath httpx's client, or called directly: what is sent is sent once, and every failure is one of httpx's.

ConnectError, ConnectTimeout and PoolTimeout: nothing was sent. After any other it may have been received.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Self

import httpx

from app.upstream.connection import Connection, Origin
from app.upstream.incoming import Headers
from app.upstream.passage import Passage
from app.upstream.pool import Pool

PASSAGE = "passage"

_PORTS = {"http": 80, "https": 443}
_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(rb"%b [!-~]+ HTTP/1\.1\r\n(?:%b: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)*\r\n" % (_NAME, _NAME))

Patience = Mapping[str, float | None]


class Transport(httpx.AsyncBaseTransport):
    """Sends requests over the connections of one pool. `Passage` in a request's extensions is told how far it has come."""

    def __init__(self, tls: ssl.SSLContext, pool: Pool) -> None:
        tls.set_alpn_protocols(["http/1.1"])
        self._tls = tls
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx's client asks."""
        return await self.ask(
            origin_of(request.url),
            *(request.method.encode(), request.url.raw_path, request.headers.raw),
            passage=request.extensions.get(PASSAGE) or Passage(),
            pieces=_pieces_of(request),
            patience=request.extensions.get("timeout", {}),
        )

    async def ask(
        self,
        origin: Origin,
        method: bytes,
        target: bytes,
        headers: Headers,
        *,
        passage: Passage,
        content: bytes = b"",
        pieces: AsyncIterable[bytes] | None = None,
        patience: Patience = {},  # noqa: B006  (it is not changed)
    ) -> httpx.Response:
        """The answer, of which the head has come. To be closed by whoever asked."""
        head = _head(method, target, headers)
        connection = await self._connection(origin, passage, patience)
        try:
            connection.send(method, head + content, passage)
            if pieces is not None:
                await connection.send_pieces(pieces, within_s=patience.get("write"))
            if passage.when_sent is not None:
                passage.when_sent()
            status, said = await connection.head(within_s=patience.get("read"))
        except BaseException:
            connection.abort()
            self._pool.leave()
            raise
        body = _Body(connection, self._pool, within_s=patience.get("read"))
        return httpx.Response(status, headers=said, stream=body)

    async def aclose(self) -> None:
        """End what is idle; what is not, its own request ends."""
        self._pool.close()

    async def _connection(self, origin: Origin, passage: Passage, patience: Patience) -> Connection:
        await self._pool.enter(within_s=patience.get("pool"))
        try:
            return self._pool.kept(origin) or await self._opened(origin, passage, within_s=patience.get("connect"))
        except BaseException:
            self._pool.leave()
            raise

    async def _opened(self, origin: Origin, passage: Passage, *, within_s: float | None) -> Connection:
        passage.dialled = True
        try:
            async with asyncio.timeout(within_s):
                return await Connection.opened(origin, self._tls)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("The peer took too long to let us in.") from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error)) from error


class _Body(httpx.AsyncByteStream, AsyncIterator[bytes]):
    """The body of an answer; closed, it gives the connection back."""

    def __init__(self, connection: Connection, pool: Pool, *, within_s: float | None) -> None:
        self._connection = connection
        self._pool = pool
        self._within_s = within_s
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if piece := await self._connection.piece(within_s=self._within_s):
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._pool.leave(self._connection)


def origin_of(url: httpx.URL) -> Origin:
    """Whom a URL leads to. Raises httpx.UnsupportedProtocol."""
    if url.scheme not in _PORTS or not url.raw_host:
        raise httpx.UnsupportedProtocol("An address begins with http:// or https:// and a host.")
    return Origin(url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme])


def _head(method: bytes, target: bytes, headers: Headers) -> bytes:
    """Raises httpx.LocalProtocolError for what would be read as something else."""
    lines = [b"%b: %b\r\n" % header for header in headers]
    head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, b"".join(lines))
    if not _HEAD.fullmatch(head) or head.count(b"\n") != len(headers) + 2:
        raise httpx.LocalProtocolError("The request has a line that cannot be sent.")
    return head


def _pieces_of(request: httpx.Request) -> AsyncIterable[bytes] | None:
    """The body as it is sent. None: there is none."""
    assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101  (of an asynchronous client)
    if "transfer-encoding" in request.headers:
        return _chunked(request.stream)
    length = int(request.headers.get("content-length", "0"))
    return _counted(request.stream, length) if length else None


async def _chunked(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


async def _counted(pieces: AsyncIterable[bytes], length: int) -> AsyncIterator[bytes]:
    async for piece in pieces:
        length -= len(piece)
        if length < 0:
            raise httpx.LocalProtocolError("The body is longer than its Content-Length says.")
        yield piece
    if length:
        raise httpx.LocalProtocolError("The body is shorter than its Content-Length says.")
