"""An answer as it comes in: its head, what there is of its body, and whether that was all. It knows nothing of sockets."""

import httptools
import httpx

# More than this in a row that is no body, be it a head or between the chunks, is no answer.
_MOST_FRAMING = 100 * 1024
_BODILESS = frozenset({204, 304})
_SWITCHED = 101

Headers = list[tuple[bytes, bytes]]


class Incoming:
    """The answer to one request: fed with bytes, it has a `status` once its head has come and `is_whole` at its end.

    It `is_last` if nothing can follow on its connection.
    """

    def __init__(self, method: bytes) -> None:
        self.status: int | None = None
        self.headers: Headers = []
        self.is_whole = False
        self.is_last = True
        self.held_bytes = 0
        self._method = method
        self._parser = httptools.HttpResponseParser(self)
        self._held: list[bytes] = []
        self._framing = 0
        self._ends_with_connection = False

    @property
    def is_refusal(self) -> bool:
        """Whether it is one that makes the rest of a request needless."""
        return self.status is not None and not httpx.codes.is_success(self.status)

    def feed(self, data: bytes) -> None:
        """What the peer sent. Raises httpx.RemoteProtocolError for what is no answer, or no more of one."""
        held_before = self.held_bytes
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise httpx.RemoteProtocolError(f"That is no answer: {type(error).__name__}.") from error
        if self.is_whole:
            del self._parser  # they hold each other, and there is one for every request
        self._framing = 0 if self.held_bytes > held_before else self._framing + len(data)
        if self._framing > _MOST_FRAMING:
            raise httpx.RemoteProtocolError("The answer has a head, or something between its parts, without end.")

    def end(self) -> None:
        """The peer sends no more. Raises httpx.RemoteProtocolError where that is too early."""
        if not (self.is_whole or self._ends_with_connection):
            raise httpx.RemoteProtocolError("The connection ended before the answer did.")
        self.is_whole = True

    def take(self) -> bytes:
        """What has come of the body and was not taken."""
        taken = b"".join(self._held)
        self._held.clear()
        self.held_bytes = 0
        return taken

    # What the parser tells

    def on_message_begin(self) -> None:
        """An answer begins; behind a whole one it is one that nobody asked for."""
        self.is_last = self.is_last or self.is_whole

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the head; those that follow the body are let go."""
        if self.status is None:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The end of a head, perhaps of an interim one."""
        status = self._parser.get_status_code()
        if status == _SWITCHED:
            raise httpx.RemoteProtocolError("The peer goes on in another protocol, which nobody has asked for.")
        if self.status is not None:
            return  # what comes behind a whole answer says nothing of it
        if httpx.codes.is_informational(status):
            self.headers = []
        else:
            self.status = status
            names = {name.lower() for name, _ in self.headers}
            self._ends_with_connection = names.isdisjoint((b"content-length", b"transfer-encoding"))
            if self._method == b"HEAD" or status in _BODILESS:
                self.on_message_complete()

    def on_body(self, piece: bytes) -> None:
        """A part of the body. What comes behind a whole answer is none."""
        if self.is_whole:
            self.is_last = True
            return
        self._held.append(piece)
        self.held_bytes += len(piece)

    def on_message_complete(self) -> None:
        """The end of an answer, were it an interim one."""
        if self.status is not None and not self.is_whole:
            self.is_whole = True
            self.is_last = not self._parser.should_keep_alive()
