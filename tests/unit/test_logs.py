"""The log as bytes: one JSON object a line, and no secret in any of them."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from structlog.contextvars import bound_contextvars

from app.api.middleware import Requests
from app.domain.access import Caller, Role
from app.domain.keys import id_and_secret, new_key
from app.logs import formatter, log_to_stderr
from tests.support.news import JOB, NOON

Json = dict[str, Any]

NEEDLE = "Xw3-needle_Q9"
KEY = new_key("ann", Role.ADMIN, now=NOON, expires=None)[1]
# What a secret looks like where it is not by itself: as it is written, and the part that must not be read.
SECRETS = {
    "a key": (KEY, id_and_secret(KEY)[1]),
    "a key with a damaged id": (f"tbg_NoId_{NEEDLE}", NEEDLE),
    "a ticket": (f"/v1/events?ticket={NEEDLE}&after=1", NEEDLE),
    "a cookie": (f"Cookie: a=b; gateway-stream={NEEDLE}; c=d", NEEDLE),
    "a bearer token": (f"Authorization: Bearer {NEEDLE}", NEEDLE),
    "a bearer token in small letters": (f"router-authorization: bearer {NEEDLE}", NEEDLE),
    "a bearer token in bytes": (f"{f'Bearer {NEEDLE}'.encode()!r}", NEEDLE),
    "a bearer token further away": (f"Bearer  {NEEDLE}", NEEDLE),
}


class Said:
    """An object whose text is only made when the line is written."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class Book:
    """A log that can be read."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(formatter())
        self.log = logging.Logger("app.tests", logging.DEBUG)  # noqa: LOG001  (one that nobody else has)
        self.log.addHandler(self.handler)

    @property
    def text(self) -> str:
        """All of it."""
        return self._stream.getvalue()

    @property
    def lines(self) -> list[Json]:
        """Each line as what it says."""
        assert self.text.endswith("\n")
        return [json.loads(line) for line in self.text.removesuffix("\n").split("\n")]


@pytest.fixture
def book() -> Book:
    return Book()


def failing(text: str) -> None:
    raise ValueError(text)


# One object a line


def test_a_line_says_what_happened_when_and_who_says_so(book: Book) -> None:
    """Facts stand beside the event, under their own names."""
    book.log.warning("key refused", extra={"key": "0123", "why": "unknown"})

    (line,) = book.lines
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "key refused",
        "level": "warning",
        "logger": "app.tests",
        "key": "0123",
        "why": "unknown",
    }


def test_a_line_within_a_request_names_it(book: Book) -> None:
    """All that one request caused is found by its id."""
    with bound_contextvars(request_id="r-1"):
        book.log.info("within")
    book.log.info("outside")

    assert [line.get("request_id") for line in book.lines] == ["r-1", None]


def test_an_exception_is_one_line_with_its_traceback(book: Book) -> None:
    """Whoever reads the log line by line must not meet halves."""
    try:
        failing("first\nand second")
    except ValueError:
        book.log.exception("it failed")

    (line,) = book.lines
    assert line["level"] == "error"
    assert "Traceback (most recent call last)" in line["exception"]
    assert "ValueError: first\nand second" in line["exception"]


@pytest.mark.parametrize(
    "text",
    [
        'x\n{"event": "forged"}',
        'x\r\n{"event": "forged"}',
        "x\x85y",
        "x\u2028y\u2029z",
        "\x1b[2Jx\x00",
        '"}, {"',
        "\ud800",
    ],
    ids=["newline", "return", "next-line", "separators", "control", "quotes", "half-a-surrogate"],
)
def test_nothing_that_is_said_can_forge_a_line(book: Book, text: str) -> None:
    """In the message, in a fact, in a fact's name, or in an exception."""
    try:
        failing(text)
    except ValueError:
        book.log.exception("said: %s", text, extra={"fact": text, "nested": {"deep": [text]}, text: 1})

    assert len(book.text.splitlines()) == 1
    assert book.text.isascii()
    assert book.text.removesuffix("\n").isprintable()
    (line,) = book.lines
    assert line["event"] == f"said: {text}"
    assert line["fact"] == text


def test_what_is_no_json_is_written_as_text(book: Book) -> None:
    """A line that cannot be written is a line that is missing."""
    job_id = uuid4()
    book.log.info("odd", extra={"job": job_id, "raw": b"\xff", "when": NOON, "error": ValueError("why")})

    (line,) = book.lines
    assert (line["job"], line["raw"], line["error"]) == (str(job_id), "b'\\xff'", "why")


# No secrets


def _fail_with(log: logging.Logger, text: str) -> None:
    try:
        failing(text)
    except ValueError:
        log.exception("failed")


def _fail_because(log: logging.Logger, text: str) -> None:
    try:
        try:
            failing(text)
        except ValueError as error:
            raise LookupError("another") from error
    except LookupError:
        log.exception("failed")


_PLACES: dict[str, Callable[[logging.Logger, str], None]] = {
    "message": lambda log, text: log.info(text),
    "argument": lambda log, text: log.info("said %s and %s", "this", text),
    "fact": lambda log, text: log.info("said", extra={"fact": text}),
    "nested": lambda log, text: log.info("said", extra={"fact": {"deep": [1, {"deeper": (text,)}]}}),
    "name": lambda log, text: log.info("said", extra={"fact": {text: 1}}),
    "object": lambda log, text: log.info("said", extra={"fact": [Said(text)], "other": Said(text)}),
    "traceback": _fail_with,
    "cause": _fail_because,
}


@pytest.mark.parametrize("what", SECRETS)
@pytest.mark.parametrize("where", _PLACES)
def test_what_looks_like_a_secret_is_struck_out(book: Book, what: str, where: str) -> None:
    """A net under the rule that none is ever logged: somebody else's exception may hold one."""
    text, secret = SECRETS[what]

    _PLACES[where](book.log, text)

    assert secret not in book.text
    assert "***" in book.text
    assert len(book.lines) == 1


def test_what_stands_around_a_secret_can_still_be_read(book: Book) -> None:
    """A line without meaning would help nobody."""
    book.log.info("refused %s at %s", KEY, "/v1/events?ticket=abc&after=7")

    assert book.lines[0]["event"] == "refused *** at /v1/events?ticket=***&after=7"


def test_ids_are_no_secrets(book: Book) -> None:
    """A key's id is how one speaks of it."""
    job_id = str(uuid4())
    book.log.info("stream ended with its key", extra={"key": "0123456789ab", "job": job_id})

    assert (book.lines[0]["key"], book.lines[0]["job"]) == ("0123456789ab", job_id)


# The line of a request


@pytest.fixture
def requests_book(book: Book) -> Iterator[Book]:
    """What the middleware writes."""
    logger = logging.getLogger("app.api.middleware")
    before = logger.level
    logger.addHandler(book.handler)
    logger.setLevel(logging.INFO)
    yield book
    logger.removeHandler(book.handler)
    logger.setLevel(before)


def _app() -> FastAPI:
    app = FastAPI()

    @app.get("/v1/jobs/{job_id}/of/{name}")
    async def read(job_id: str, name: str) -> str:
        return job_id + name

    @app.get("/v1/refused")
    async def refused() -> None:
        raise HTTPException(403)

    @app.get("/v1/failed")
    async def failed() -> None:
        failing(f"Bearer {NEEDLE}")

    app.add_middleware(Requests)
    return app


async def _get(path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(_app(), raise_app_exceptions=False, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        return await client.get(path, headers=headers)


async def test_a_request_is_one_line_with_its_route_and_ids(requests_book: Book) -> None:
    """By the id in the answer one finds the line."""
    job_id = str(uuid4())

    answer = await _get(f"/v1/jobs/{job_id}/of/somebody")

    (line,) = requests_book.lines
    assert line.pop("took_ms") >= 0
    assert line.pop("time")
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "app.api.middleware",
        "request_id": answer.headers["X-Request-Id"],
        "method": "GET",
        "path": f"/v1/jobs/{job_id}/of/{{name}}",
        "status": 200,
        "problem": None,
        "client": "192.0.2.7",
        "user": None,
        "key": None,
    }


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/jobs/{NEEDLE}/of/x",
        f"/v1/jobs/{JOB}/of/{NEEDLE}",
        f"/v1/refused?ticket={NEEDLE}",
        f"/v1/refused?tickets={NEEDLE}&{NEEDLE}=1",
        f"/{NEEDLE}",
        f"/v1/refused/{NEEDLE}",
        f"/v1/failed?{NEEDLE}",
        f"//{NEEDLE}@elsewhere.test/v1/refused",
    ],
)
async def test_nothing_else_of_an_address_is_in_the_line(requests_book: Book, path: str) -> None:
    """People put secrets where they do not belong."""
    answer = await _get(
        path, Authorization=f"Basic {NEEDLE}", Cookie=f"gateway-stream={NEEDLE}", Referer=f"http://x/?{NEEDLE}"
    )

    (line,) = requests_book.lines
    assert NEEDLE not in requests_book.text
    assert (line["event"], line["status"]) == ("request", answer.status_code)


async def test_the_line_names_whose_key_it_was() -> None:
    """The key by its id; a caller's token at the Router is not even in the text of a caller."""
    caller = Caller(user="ann", role=Role.VIEWER, key_id="0123", router_user="member@globex", router_token=NEEDLE)

    assert NEEDLE not in f"{caller}{caller!r}"
    assert "member@globex" in repr(caller)


# Who may speak


@pytest.fixture
def standard_error(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """Standard error, with the log as it was before given back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("app")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    root.handlers = []
    yield capsys
    root.handlers = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_says_what_is_worth_a_line(
    standard_error: pytest.CaptureFixture[str], level: str, heard: list[str]
) -> None:
    """Of what we say ourselves."""
    log_to_stderr(level)
    for word in ("debug", "info", "warning", "error"):
        logging.getLogger("app.services.hub").log(logging.getLevelName(word.upper()), word)

    out, err = standard_error.readouterr()
    assert [json.loads(line)["event"] for line in err.splitlines()] == heard
    assert out == ""


@pytest.mark.parametrize(
    "name",
    ["httpx", "httpcore.connection", "alembic.runtime.migration", "uvicorn.access", "uvicorn.error", "sqlalchemy"],
)
def test_libraries_are_heard_when_they_warn_and_not_before(
    standard_error: pytest.CaptureFixture[str], name: str
) -> None:
    """What they say in passing names addresses; httpx tells every one it calls. A warning is in our own form."""
    log_to_stderr("debug")
    logging.getLogger(name).debug("in passing")
    logging.getLogger(name).info("GET http://router/?ticket=x")
    logging.getLogger(name).warning("beware of ticket=x")

    lines = [json.loads(line) for line in standard_error.readouterr().err.splitlines()]
    assert [(line["event"], line["level"], line["logger"]) for line in lines] == [
        ("beware of ticket=***", "warning", name)
    ]
