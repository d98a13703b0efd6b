"""An event stream as the HTML standard has it understood, to the letter ("Server-sent events", section 9.2.6)."""

import codecs
from dataclasses import dataclass


@dataclass(frozen=True)
class Dispatched:
    """An event as a page sees it."""

    type: str
    data: str
    last_event_id: str


class EventStreamParser:
    """Takes pieces, cut anywhere, and dispatches. What has no blank line yet waits for it."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.reconnection_time_ms: int | None = None
        self.fields: list[tuple[str, str]] = []
        self.comments: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")  # one BOM at the start is taken off
        self._line: list[str] = []
        self._after_cr = False
        self._data = ""
        self._type = ""
        self._id = ""

    def feed(self, piece: bytes) -> list[Dispatched]:
        """The events that are dispatched now."""
        decoded = self._decoder.decode(piece)
        lines = [line for character in decoded if (line := self._ended_by(character)) is not None]
        return [event for line in lines if (event := self._process(line)) is not None]

    def _ended_by(self, character: str) -> str | None:
        """The line, when it ends here: by LF, CR or CRLF, and by no other character."""
        completes_crlf = self._after_cr and character == "\n"
        self._after_cr = character == "\r"
        if completes_crlf:
            return None
        if character not in "\r\n":
            self._line.append(character)
            return None
        line, self._line = "".join(self._line), []
        return line

    def _process(self, line: str) -> Dispatched | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name:
            self._take(name, value)
        else:
            self.comments.append(value)
        return None

    def _take(self, name: str, value: str) -> None:
        self.fields.append((name, value))
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdecimal():
            self.reconnection_time_ms = int(value)

    def _dispatch(self) -> Dispatched | None:
        self.last_event_id = self._id
        data, kind = self._data, self._type
        self._data = self._type = ""
        if not data:
            return None
        return Dispatched(type=kind or "message", data=data.removesuffix("\n"), last_event_id=self.last_event_id)
