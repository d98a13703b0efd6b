"""A table in a form: which parts it may have, and that its bytes are passed on as they come."""

from collections.abc import Iterable
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from app.api.uploads import CSV, PARQUET, Upload, upload_of
from app.domain.errors import Invalid

TABLE = b"patient_id,age\r\n--b,61\r\n\r\n--\r\np-2,47\r\n"  # with what looks like a boundary and is none
MiB = 1024 * 1024


class Sender:
    """Somebody who sends a body in pieces, and whom one can ask how many were taken."""

    def __init__(self, pieces: Iterable[bytes], content_type: str = "multipart/form-data; boundary=bb") -> None:
        self.taken = 0
        self._pieces = iter(pieces)
        self._content_type = content_type

    def request(self) -> Request:
        """As the application gets it."""
        headers = [(b"content-type", self._content_type.encode())]
        return Request({"type": "http", "headers": headers}, self._receive)

    async def _receive(self) -> Message:
        piece = next(self._pieces, None)
        self.taken += piece is not None
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}


def part(name: str, content: bytes, *headers: bytes, filename: str | None = None) -> bytes:
    named = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
    return b"\r\n".join([b"--bb", b"Content-Disposition: " + named.encode(), *headers, b"", content, b""])


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--bb--\r\n"


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


async def sent(body: bytes, content_type: str = "multipart/form-data; boundary=bb", **asked: Any) -> Upload:
    return await upload_of(Sender([body], content_type).request(), asked)


async def whole(upload: Upload) -> bytes:
    return b"".join([piece async for piece in upload.pieces])


FILE = part("file", TABLE, filename="t.csv")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
async def test_the_table_arrives_as_it_is_however_the_body_is_cut(size: int) -> None:
    """A boundary may come in pieces, and what only begins like one is data."""
    body = form(part("name", "köhort".encode()), part("temporary", b"true"), FILE)

    upload = await upload_of(Sender(cut(body, size)).request(), {})

    assert (upload.table.name, upload.table.temporary, upload.media_type) == ("köhort", True, CSV)
    assert await whole(upload) == TABLE


async def test_no_more_of_the_body_is_taken_than_is_passed_on() -> None:
    """Whoever reads slowly slows the sender down; nothing piles up here."""
    begun = part("file", b"", filename="t.csv").removesuffix(b"\r\n")
    sender = Sender([begun, *[b"x" * MiB] * 50, b"\r\n--bb--"])
    upload = await upload_of(sender.request(), {"name": "t"})
    before = sender.taken

    taken = [(len(piece), sender.taken) async for piece in upload.pieces]

    assert before == 1
    assert sum(length for length, _ in taken) == 50 * MiB
    assert max(length for length, _ in taken) <= MiB
    assert [after for length, after in taken if length > 100] == list(range(2, 52))


@pytest.mark.parametrize(
    ("headers", "filename", "form_"),
    [
        ((b"Content-Type: text/csv; charset=utf-8",), "t", CSV),
        ((b"content-type: Text/CSV",), "t.parquet", CSV),
        ((b"Content-Type: application/vnd.apache.parquet",), None, PARQUET),
        ((b"Content-Type: application/octet-stream",), "T.PARQUET", PARQUET),
        ((b"Content-Type: application/vnd.ms-excel",), "a.b.csv", CSV),
        ((), "C:\\tables\\t.csv", CSV),
    ],
)
async def test_the_form_is_told_by_the_type_or_by_the_files_name(
    headers: tuple[bytes, ...], filename: str | None, form_: str
) -> None:
    """Browsers and curl say what they think of a file, and it is not always of use."""
    upload = await sent(form(part("file", TABLE, *headers, filename=filename)), name="t")

    assert upload.media_type == form_


@pytest.mark.parametrize("filename", ["t.xlsx", "csv", "", None])
async def test_a_file_of_no_known_form_is_refused(filename: str | None) -> None:
    """415, before anything of it is passed on."""
    with pytest.raises(HTTPException) as refused:
        await sent(form(part("file", TABLE, b"Content-Type: application/pdf", filename=filename)), name="t")

    assert refused.value.status_code == 415


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (form(part("name", b"t")), "file"),
        (b"--bb--\r\n", "file"),
        (form(part("name", b"t"), part("nmae", b"t"), FILE), "nmae"),
        (form(part("name", b"t"), part("name", b"t"), FILE), "name"),
        (form(part("name", b"\xff"), FILE), "name"),
        (form(part("name", b"t" * 3_000), FILE), "name"),
        (form(FILE), "name"),
        (form(part("temporary", b"false"), FILE), "name"),
        (form(b"--bb\r\nContent-Type: text/csv\r\n\r\na\r\n"), "body"),
        (form(b"--bb\r\nContent-Disposition: attachment; name=file\r\n\r\na\r\n"), "body"),
        (form(part("name", b"t", *[b"X-%d: a" % number for number in range(50)]), FILE), "body"),
        (form(part("name", b"t", b"X: " + b"a" * 100_000), FILE), "body"),
        (form(part("name", b"t", b"no header"), FILE), "body"),
        (b'{"name": "t"}', "body"),
        (b"", "body"),
        (part("name", b"t")[:-2], "body"),
    ],
    ids=[
        *("no-file", "no-part", "unknown", "twice", "no-utf-8", "long", "no-name", "no-name-to-stay", "nameless"),
        *("attachment", "many-headers", "long-header", "no-header", "json", "empty", "cut-off"),
    ],
)
async def test_a_form_that_is_not_as_it_should_be_is_refused_before_its_file(body: bytes, field: str) -> None:
    """It says what is wrong, and the Router has not heard of any table."""
    with pytest.raises(Invalid) as refused:
        await sent(body)

    assert refused.value.facts["field"] == field


@pytest.mark.parametrize(
    ("name", "value"), [("name", b" "), ("name", b"t" * 201), ("temporary", b"perhaps")], ids=["blank", "long", "flag"]
)
async def test_a_field_is_held_to_what_the_query_is_held_to(name: str, value: bytes) -> None:
    """It is the same field."""
    with pytest.raises(RequestValidationError) as refused:
        await sent(form(part(name, value), FILE))

    assert refused.value.errors()[0]["loc"] == ("body", name)


async def test_what_the_query_says_is_not_said_again() -> None:
    """Which of the two would hold, nobody can guess."""
    with pytest.raises(Invalid, match="twice"):
        await sent(form(part("name", b"t"), FILE), name="t")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (form(FILE, part("name", b"t")), "name"),
        (form(FILE, FILE), "file"),
        (FILE, "body"),
        (FILE + b"--b", "body"),
        (FILE + b"--bb oh\r\n", "body"),
    ],
    ids=["a-field-after", "two-files", "cut-off", "cut-in-the-boundary", "no-boundary"],
)
async def test_what_is_wrong_after_the_table_is_told_before_its_bytes_end(body: bytes, field: str) -> None:
    """So that the Access Point does not take them for all there is."""
    upload = await upload_of(Sender(cut(body, 5)).request(), {"name": "t"})

    with pytest.raises(Invalid) as refused:
        await whole(upload)

    assert refused.value.facts["field"] == field


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 300],
)
async def test_a_form_without_a_usable_boundary_is_refused(content_type: str) -> None:
    """Nobody can tell its parts apart."""
    with pytest.raises(Invalid) as refused:
        await sent(form(FILE), content_type)

    assert refused.value.facts["field"] == "Content-Type"


async def test_what_stands_after_the_form_is_nobodys() -> None:
    """The standard allows it."""
    assert await whole(await sent(form(FILE) + b"and so on", name="t")) == TABLE


async def test_a_body_that_is_the_table_is_passed_on_whole() -> None:
    """The plain way; the query says all that is to be said."""
    upload = await sent(TABLE, "Text/CSV; charset=utf-8", temporary=True)

    assert (upload.table.name, upload.table.temporary, upload.media_type) == (None, True, CSV)
    assert await whole(upload) == TABLE


async def test_a_body_of_no_known_form_is_refused() -> None:
    """And says what there is."""
    with pytest.raises(HTTPException) as refused:
        await sent(TABLE, "application/json", name="t")

    assert (refused.value.status_code, CSV in refused.value.detail) == (415, True)
