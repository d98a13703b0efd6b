"""HTTP/1.1 towards clients."""

import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OFFER = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n)", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"


class Http11(HttpToolsProtocol):
    """Uvicorn's, but an offer to go on in HTTP/2 is declined by ignoring it (RFC 9110, section 7.8).

    Java's HttpClient makes it with every request over plain HTTP, and the parser would take the body behind it for the
    other protocol's: the request would arrive without.
    """

    def data_received(self, data: bytes) -> None:
        """Bytes of the client; in a head the offer is passed over."""
        if not self._is_in_body():
            head, end, rest = data.partition(_END_OF_HEAD)
            data = _OFFER.sub(b"", head + end) + rest
        super().data_received(data)

    def _is_in_body(self) -> bool:
        # There is none before the first request.
        return bool(getattr(self.cycle, "more_body", False))
