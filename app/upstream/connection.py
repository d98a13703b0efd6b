"""One connection to a peer, and the one request at a time that it carries. What is sent on it is sent once.

A failure is one of httpx's: ReadError where the connection broke, RemoteProtocolError where it ended too early or what
came is no answer.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import AsyncIterable
from typing import NamedTuple

import httpx

from app.upstream.dialling import Dialling
from app.upstream.incoming import Headers, Incoming
from app.upstream.passage import Passage

# Once so much of an answer waits to be taken, no more is read.
_MOST_HELD = 64 * 1024


class Origin(NamedTuple):
    """Whom a connection leads to."""

    scheme: str
    host: str
    port: int


class Connection(asyncio.Protocol):
    """Carries one request after the other, as long as it `is_free` after each."""

    _transport: asyncio.Transport
    _descriptor: int  # while it is open; after that it may be another file's

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle_since_s = 0.0
        self._is_open = True
        self._is_sent = True
        self._may_write = True
        self._is_paused = False
        self._bell: asyncio.Future[None] | None = None
        self._passage: Passage | None = None
        self._answer = Incoming(b"")  # of a request that was not sent
        self._failure: httpx.TransportError | None = None

    @classmethod
    async def opened(cls, origin: Origin, tls: ssl.SSLContext) -> "Connection":
        """A new one. Raises OSError."""
        wanted = tls if origin.scheme == "https" else None
        return await Dialling(lambda: cls(origin), origin.host, origin.port, tls=wanted).first()

    @property
    def is_free(self) -> bool:
        """Whether the last answer came whole, both sides go on, and nothing is on its way."""
        is_done = self._is_sent and self._answer.is_whole and not (self._answer.is_last or self._is_paused)
        return self._is_open and is_done and not self._transport.get_write_buffer_size()

    @property
    def is_quiet(self) -> bool:
        """Whether the peer has said nothing since, not even that it is gone."""
        if not self._is_open:
            return False
        looking = select.poll()
        looking.register(self._descriptor, select.POLLIN)
        return not looking.poll(0)

    def abort(self) -> None:
        """End it, whatever has not come or gone."""
        self._is_open = False
        self._transport.abort()

    # A request

    def send(self, method: bytes, data: bytes, passage: Passage) -> None:
        """The head of a request and what there is of its body; the rest comes with `send_pieces`."""
        if not self._is_open:
            raise httpx.ConnectError("The connection ended before anything was sent.")
        self._answer = Incoming(method)
        self._passage = passage
        passage.sent = True
        self._transport.write(data)

    async def send_pieces(self, pieces: AsyncIterable[bytes], *, within_s: float | None) -> None:
        """All of them, unless the connection ends before that, or the answer is that they are not wanted."""
        self._is_sent = False
        async for piece in pieces:
            if self._is_in_vain:
                return
            self._transport.write(piece)
            while not (self._may_write or self._is_in_vain):
                await self._rung(within_s, late=httpx.WriteTimeout)
        self._is_sent = True

    # Its answer

    async def head(self, *, within_s: float | None) -> tuple[int, Headers]:
        """Status and headers, once they have come."""
        while (status := self._answer.status) is None:
            await self._more(within_s)
        return status, self._answer.headers

    async def piece(self, *, within_s: float | None) -> bytes:
        """What has come of the body. Empty at its end. It is read no faster than it is taken."""
        while not (piece := self._taken()) and not self._answer.is_whole:
            await self._more(within_s)
        return piece

    # What asyncio tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a TCP connection
        """It is there."""
        self._transport = transport
        peer: socket.socket = transport.get_extra_info("socket")
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._descriptor = peer.fileno()

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer. Those that nobody asked for could be taken for the next answer."""
        if self._passage is None or self._answer.is_whole:
            self.abort()
            return
        self._passage.back = True
        try:
            self._answer.feed(data)
        except httpx.RemoteProtocolError as error:
            self._fail(error)
        if self._answer.held_bytes > _MOST_HELD and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._ring()

    def eof_received(self) -> None:
        """The peer has said all that it will; asyncio closes the connection then."""
        self._is_open = False
        try:
            self._answer.end()
        except httpx.RemoteProtocolError as error:
            self._fail(error)
        self._ring()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over. Where there was no error, it was said before, or we have ended it."""
        self._is_open = False
        why = "was closed" if error is None else type(error).__name__
        self._fail(httpx.ReadError(f"The connection broke: {why}."))

    def pause_writing(self) -> None:
        """The peer does not take what is written."""
        self._may_write = False

    def resume_writing(self) -> None:
        """It does again."""
        self._may_write = True
        self._ring()

    # How they meet

    @property
    def _is_in_vain(self) -> bool:
        return not self._is_open or self._answer.is_refusal

    def _taken(self) -> bytes:
        piece = self._answer.take()
        if self._is_paused and self._is_open:
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    def _fail(self, failure: httpx.TransportError) -> None:
        """The first counts, and none where an answer is whole; what has come of one is read all the same."""
        if self._failure is None and not self._answer.is_whole:
            self._failure = failure
        if self._is_open:
            self.abort()
        self._ring()

    def _ring(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    async def _more(self, within_s: float | None) -> None:
        """Wait for more of the answer. Raises why there will be none."""
        if self._failure is not None:
            raise self._failure
        await self._rung(within_s, late=httpx.ReadTimeout)

    async def _rung(self, within_s: float | None, *, late: type[httpx.TimeoutException]) -> None:
        """Wait until there is something new."""
        self._bell = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                await self._bell
        except TimeoutError as error:
            raise late("The peer took too long.") from error
