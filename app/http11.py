"""HTTP/1.1 towards clients."""

import re
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OFFER = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n)", re.IGNORECASE)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_REQUEST = re.compile(rb"[A-Z]{1,20}( [^\r\n]*|$)")
_LONGEST_HEAD = 64 * 1024


class Wire(NamedTuple):
    """A connection as the server has it: its own `send`, which waits for nothing but room, and the way to break it off."""

    send: Callable[[Any], Coroutine[Any, Any, None]]
    cut: Callable[[], None]


class Http11(HttpToolsProtocol):
    """Uvicorn's, but an offer to go on in HTTP/2 is declined by ignoring it (RFC 9110, section 7.8).

    Java's HttpClient makes it with every request over plain HTTP, and the parser would take the body behind it for the
    other protocol's: the request would arrive without.
    """

    _head = b""

    def on_headers_complete(self) -> None:
        """The application is called at the next turn; streams find their connection in its scope."""
        super().on_headers_complete()
        if self.cycle is not None:
            scope: dict[str, Any] = self.cycle.scope  # type: ignore[assignment]  # ASGI's, with a word of ours
            scope["wire"] = Wire(send=self.cycle.send, cut=self.transport.abort)

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
