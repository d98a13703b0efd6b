"""Tables on their way in: the body itself, or a part of a form. The bytes are passed on as they come, and never held."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.schemas.assets import TableToMake
from app.domain.errors import Invalid

CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
TABLE_FORMS = (CSV, PARQUET)
FORM = "multipart/form-data"
UPLOAD_FORMS = (*TABLE_FORMS, FORM)

_SUFFIXES = {".csv": CSV, ".parquet": PARQUET}
_FILE = "file"
_FIELDS = tuple(TableToMake.model_fields)
_MAX_FIELD_BYTES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What to make, and the bytes to make it of, which can be read once."""

    table: TableToMake
    media_type: str
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The head of a part of a form."""

    name: str
    filename: str
    media_type: str


async def upload_of(request: Request, asked: dict[str, object]) -> Upload:
    """The upload that a request holds; `asked` is what its query says of the table.

    Raises Invalid, also later from `pieces`, for a form that is not as it should be.
    """
    kind = _kind(request.headers.get("content-type", ""))
    if kind == FORM:
        return await _in_a_form(request, asked)
    return Upload(table=_table(asked), media_type=_known(kind), pieces=request.stream())


async def _in_a_form(request: Request, asked: dict[str, object]) -> Upload:
    fields = _Fields(asked)
    news = _read(request)
    async for one in news:
        if not isinstance(one, Part):
            fields.go_on(one)
        elif one.name == _FILE:
            return Upload(table=_table(fields.all()), media_type=_form_of(one), pieces=_last(news))
        else:
            fields.begin(one.name)
    raise Invalid(f"The form has no part {_FILE!r}, which holds the table.", field=_FILE)


class _Fields:
    """What is said of the table: in the query, and in short parts before the file."""

    def __init__(self, asked: dict[str, object]) -> None:
        self._asked = asked
        self._held: dict[str, bytearray] = {}
        self._name = ""

    def begin(self, name: str) -> None:
        """A part begins."""
        if name not in _FIELDS:
            raise Invalid(f"There is no part {name!r} here.", field=name, allowed=[*_FIELDS, _FILE])
        if name in self._asked or name in self._held:
            raise Invalid("It is said twice.", field=name)
        self._held[name] = bytearray()
        self._name = name

    def go_on(self, piece: bytes) -> None:
        """Some more of it."""
        held = self._held[self._name]
        held += piece
        if len(held) > _MAX_FIELD_BYTES:
            raise Invalid("It is too long.", field=self._name)

    def all(self) -> dict[str, object]:
        """Each by its name."""
        return {**self._asked, **{name: _text(bytes(held), field=name) for name, held in self._held.items()}}


async def _last(news: AsyncIterator[Part | bytes]) -> AsyncIterator[bytes]:
    """The bytes of the part that began. Raises Invalid, before they end, where another follows it."""
    async for one in news:
        if isinstance(one, Part):
            raise Invalid(f"Nothing may follow the part {_FILE!r}.", field=one.name)
        yield one


async def _read(request: Request) -> AsyncIterator[Part | bytes]:
    """The heads of a form's parts, each followed by its bytes; what came last is all that is held."""
    reader = _FormReader(_boundary(request))
    async for chunk in request.stream():
        for one in reader.feed(chunk):
            yield one
    if not reader.is_complete:
        raise Invalid("The form is cut off: the boundary that closes it did not come.", field="body")


class _FormReader:
    """Cuts a form into parts; how large a head may be, the parser bounds."""

    def __init__(self, boundary: bytes) -> None:
        self.is_complete = False
        self._news: deque[Part | bytes] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._name = bytearray()
        self._value = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._header_ended,
                    "on_headers_finished": lambda: self._news.append(_part(self._headers)),
                    "on_part_data": lambda data, start, end: self._news.append(data[start:end]),
                    "on_end": self._ended,
                },
            )
        except FormParserError as error:
            raise Invalid(f"The form cannot be read: {error}.", field="Content-Type") from error

    def feed(self, chunk: bytes) -> list[Part | bytes]:
        """What these bytes bring."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Invalid(f"The form cannot be read: {error}.", field="body") from error
        news = list(self._news)
        self._news.clear()
        return news

    def _header_ended(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _ended(self) -> None:
        self.is_complete = True


def _boundary(request: Request) -> bytes:
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise Invalid("It names no boundary between the parts of the form.", field="Content-Type")
    return boundary


def _part(headers: dict[bytes, bytes]) -> Part:
    disposition, options = parse_options_header(headers.get(b"content-disposition", b""))
    if disposition != b"form-data" or b"name" not in options:
        raise Invalid("A part of the form has no name.", field="body")
    return Part(
        name=_text(options[b"name"], field="body"),
        filename=options.get(b"filename", b"").decode(errors="replace"),
        media_type=_kind(headers.get(b"content-type", b"").decode("latin-1")),
    )


def _text(said: bytes, *, field: str) -> str:
    try:
        return said.decode()
    except UnicodeDecodeError as error:
        raise Invalid("A text is not UTF-8.", field=field) from error


def _form_of(part: Part) -> str:
    """By what the part says it is or, where that is no table's form, by the name of its file."""
    suffix = part.filename[part.filename.rfind(".") :].lower()
    return _known(part.media_type if part.media_type in TABLE_FORMS else _SUFFIXES.get(suffix, ""))


def _known(kind: str) -> str:
    if kind not in TABLE_FORMS:
        said = f"say so in Content-Type; in a form, the ending of its file's name ({' or '.join(_SUFFIXES)}) does too"
        raise HTTPException(415, f"Send the table as one of {', '.join(TABLE_FORMS)}, and {said}.")
    return kind


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _table(said: dict[str, object]) -> TableToMake:
    try:
        table = TableToMake.model_validate(said)
    except ValidationError as error:
        errors = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(errors, body=said) from error
    if table.name is None and not table.temporary:
        raise Invalid("A table that is to stay needs a name.", field="name")
    return table
