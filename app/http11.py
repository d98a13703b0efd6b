"""HTTP/1.1 towards clients."""

import asyncio
import os
import re
import socket
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_BY_TCP = (socket.AF_INET, socket.AF_INET6)
_QUIET_FOR_S = 30
# As Linux names them; elsewhere the system's own patience has to do.
_WATCHED = tuple(
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _QUIET_FOR_S),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    )
    if hasattr(socket, name)
)
_OFFER = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n)", re.IGNORECASE)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_REQUEST = re.compile(rb"[A-Z]{1,20}( [^\r\n]*|$)")
_LONGEST_HEAD = 64 * 1024


class Wire:
    """A connection as an answer without end uses it, past everything that wraps `send`: a thousand are written in turn."""

    __slots__ = ("_cycle", "_descriptor", "_is_empty", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._descriptor: int = cycle.transport.get_extra_info("socket").fileno()
        self._is_empty = False

    @property
    def is_done(self) -> bool:
        """Whether its answer is over."""
        return bool(self._cycle.response_complete)

    @property
    def is_gone(self) -> bool:
        """Whether the connection is lost."""
        return self._descriptor < 0

    def give_up_after(self, seconds: float) -> None:
        """The system breaks the connection off when nothing that was sent is acknowledged, or taken, for so long."""
        peer = self._transport.get_extra_info("socket")
        if not self.is_gone and peer.family in _BY_TCP and hasattr(socket, "TCP_USER_TIMEOUT"):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))

    def write(self, chunk: bytes) -> bool:
        """A piece of the body, if there is room. False: there is none, and nothing was taken."""
        framed = _chunked(chunk)
        if not self._is_empty:
            if self._transport.get_write_buffer_size():
                if self._cycle.flow.write_paused:
                    return False
                self._transport.write(framed)
                return True
            self._is_empty = True
        # Nothing waits in the transport, so this may pass by it: it costs as much beside the sending as all the rest.
        try:
            sent = os.write(self._descriptor, framed)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.cut()  # the server may not be reading; whoever serves the viewer hears of it by `receive`
            return True
        if sent < len(framed):
            self._is_empty = False
            self._transport.write(framed[sent:])
        return True

    def lost(self) -> None:
        """The connection is gone. Its descriptor is closed after this, and may then be another file's."""
        self._descriptor = -1
        self._cycle.disconnected = True
        self._cycle.message_event.set()

    def end(self) -> bool:
        """The end of the body, if there is room."""
        self._is_empty = False
        sending = self._cycle.send(_END)
        try:
            sending.send(None)
        except StopIteration:
            return True
        sending.close()
        return False

    async def room(self) -> None:
        """Wait until there is some, or nobody is left to need it."""
        if not self._cycle.disconnected:
            await self._cycle.flow.drain()

    def cut(self) -> None:
        """Break off, whatever has not gone out."""
        self._transport.abort()


@lru_cache(1)
def _chunked(chunk: bytes) -> bytes:
    """In the transfer coding of HTTP/1.1. The same piece goes to many in a row."""
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


_END: Any = {"type": "http.response.body", "body": b"", "more_body": False}


class Http11(HttpToolsProtocol):
    """Uvicorn's, but an offer to go on in HTTP/2 is declined by ignoring it (RFC 9110, section 7.8).

    Java's HttpClient makes it with every request over plain HTTP, and the parser would take the body behind it for the
    other protocol's: the request would arrive without.
    """

    _head = b""
    _wires: Sequence[Wire] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody who is gone without a word is noticed: who is quiet is asked now and then by the system."""
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family in _BY_TCP:
            for level, option, value in _WATCHED:
                peer.setsockopt(level, option, value)

    def on_headers_complete(self) -> None:
        """The application is called at the next turn; streams find their connection in its scope."""
        super().on_headers_complete()
        if self.cycle is not None:
            scope: dict[str, Any] = self.cycle.scope  # type: ignore[assignment]  # ASGI's, with a word of ours
            wire = scope["wire"] = Wire(self.cycle)
            self._wires = [*(one for one in self._wires if not one.is_done), wire]

    def connection_lost(self, exc: Exception | None) -> None:
        """Every answer hears of it: one that goes on while further requests wait behind it, too."""
        for wire in self._wires:
            wire.lost()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client. A head is passed on once it is whole, in however many pieces it came."""
        if self._is_in_body():
            super().data_received(data)
            return
        self._head += data
        end = _END_OF_HEAD.search(self._head)
        if end is None and len(self._head) <= _LONGEST_HEAD and _REQUEST.match(self._head):
            return
        whole, self._head = self._head, b""
        # What is no head, or too long for one, the parser refuses.
        until = end.end() if end else 0
        super().data_received(_OFFER.sub(b"", whole[:until]) + whole[until:])

    def _is_in_body(self) -> bool:
        # There is none before the first request.
        return bool(getattr(self.cycle, "more_body", False))
