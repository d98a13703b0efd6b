"""What goes wrong in other systems and not here, where no caller could see it; the table of all is in the architecture's document."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace
from sqlalchemy.event import listen
from starlette.types import ASGIApp, Message, Scope

from app.api.rooms import Rooms
from app.api.staying import staying
from app.domain.access import Role
from app.domain.course import first_heard
from app.domain.keys import new_key
from app.domain.phases import Phase
from app.domain.ports import JobFilter
from app.domain.stream import hear_line
from app.main import create_app, open_rooms
from app.services.hub import Hub
from app.services.viewers import Outlet
from app.settings import Settings
from app.store import lists
from app.store.database import open_database
from app.store.history import SqlHistory, open_history
from app.store.memory import open_keys
from tests.support.docs import ROOT, rows
from tests.support.fakes import until
from tests.support.keys import database_in
from tests.support.news import JOB, NOON, message_line, report, status_line
from tests.support.pages import jobs_in, statuses_in

ARCHITECTURE = ROOT / "docs" / "architecture.md"
SHOWN_BY = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
OURS = ("tests/api/test_known_traps.py", "tests/unit/test_known_traps.py")
COUNTS = re.compile(r"\b(?:count|sum|total|group by|over)\b", re.IGNORECASE)
LIMIT = 3
MOMENTS = ("once", "http.response.start", "http.response.body")


# Lists


class Ledger:
    """Every statement that a database is sent, written out with its values, and how it is carried out."""

    def __init__(self, history: SqlHistory, path: Path) -> None:
        self.statements: list[str] = []
        self._path = path
        listen(history._database._engine, "checkout", self._look_at)

    @property
    def plans(self) -> list[str]:
        """Of all of them, in their order."""
        connection = sqlite3.connect(self._path)
        try:
            return [
                row[3] for one in self.statements for row in connection.execute(f"EXPLAIN QUERY PLAN {one}").fetchall()
            ]
        finally:
            connection.close()

    def _look_at(self, connection: sqlite3.Connection, *_: object) -> None:
        connection.set_trace_callback(self._note)

    def _note(self, statement: str) -> None:
        if statement.startswith("SELECT"):
            self.statements.append(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "gateway.db"


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqlHistory]:
    """Of seven jobs, each with a status and a message."""
    url = database_in(tmp_path)
    async with open_database(url) as database, open_history(database, tell=lambda _: None, now=lambda: NOON) as opened:
        await asyncio.gather(*(_keep_job(opened) for _ in range(7)))
        yield opened


async def _keep_job(history: SqlHistory) -> None:
    job = replace(first_heard(report(2, "running"), streamed=True).job, id=uuid4())
    for line in (status_line(1), message_line(2)):
        told = hear_line(job, line)
        assert told is not None
        await history.keep(told)
        job = told.job


async def _pages_of_jobs(history: SqlHistory) -> None:
    wanted = JobFilter(name="a job", phases=frozenset({Phase.IN_PROGRESS}))
    cursor: str | None = None
    while (page := await history.page(wanted, limit=LIMIT, cursor=cursor)).next is not None:
        cursor = page.next


async def _pages_of_statuses(history: SqlHistory) -> None:
    cursor: str | None = None
    while (page := await history.latest_statuses(None, limit=LIMIT, cursor=cursor)).next is not None:
        cursor = page.next


async def _events_of(history: SqlHistory, job_id: UUID | None) -> None:
    after = 0
    while events := await history.events(job_id, after=after, limit=LIMIT, late_too=True):
        after = events[-1].id


LISTS: dict[str, Callable[[SqlHistory], Awaitable[None]]] = {
    "jobs": _pages_of_jobs,
    "statuses": _pages_of_statuses,
    "feed": lambda history: _events_of(history, None),
    "history": lambda history: _events_of(history, JOB),
}


@pytest.mark.parametrize("leaf_through", LISTS.values(), ids=LISTS)
async def test_no_list_counts_rows_or_skips_them(
    history: SqlHistory, path: Path, leaf_through: Callable[[SqlHistory], Awaitable[None]]
) -> None:
    """The page a thousand pages down would cost a thousand pages, and a total costs all of them each time."""
    ledger = Ledger(history, path)

    await leaf_through(history)

    skipped = {found for one in ledger.statements for found in re.findall(r"OFFSET (\d+)", one)}
    assert skipped <= {"0"}
    assert [one for one in ledger.statements if COUNTS.search(one)] == []
    # The others find one row, by its key.
    assert all("LIMIT" in one or re.search(r"\b(name|id|job_id) = ", one) for one in ledger.statements)


@pytest.mark.parametrize("leaf_through", [_pages_of_jobs, _pages_of_statuses])
async def test_a_next_page_is_found_by_the_row_before_it(
    history: SqlHistory, path: Path, leaf_through: Callable[[SqlHistory], Awaitable[None]]
) -> None:
    """In the order of an index: nothing is sorted, and nothing above that row is looked at."""
    ledger = Ledger(history, path)

    await leaf_through(history)

    first, *others = (one for one in ledger.statements if "FROM job" in one)
    newest = "job.key < 9223372036854775807"
    assert (newest in first, [newest in one for one in others]) == (True, [False, False])
    assert len([plan for plan in ledger.plans if plan.startswith("SEARCH job USING") and "rowid<?" in plan]) == 3
    assert [plan for plan in ledger.plans if "TEMP B-TREE" in plan] == []


async def test_a_page_decodes_no_job_and_no_events(
    history: SqlHistory, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand long jobs must not be unfolded to show three."""
    monkeypatch.delattr(lists, "kept_job")
    ledger = Ledger(history, path)

    page = await history.page(JobFilter(), limit=LIMIT, cursor=None)

    assert len(jobs_in(page)) == LIMIT
    (listing,) = (one for one in ledger.statements if "FROM job" in one)
    assert f"LIMIT {LIMIT + 1})" in listing
    assert "event" not in listing


async def test_a_page_of_statuses_decodes_no_job(history: SqlHistory, path: Path) -> None:
    """One line of each job is wanted, and not what it was asked to compute."""
    ledger = Ledger(history, path)

    page = await history.latest_statuses(None, limit=LIMIT, cursor=None)

    assert len(statuses_in(page)) == LIMIT
    assert [one for one in ledger.statements if "job_state" in one] == []


# Viewers who are gone before they were shown anything


class Hall:
    """The application with its rooms open, asked as a server asks it; and what viewers would leave lying about."""

    def __init__(self, app: ASGIApp, hub: Hub, rooms: Rooms, key: str) -> None:
        self._app = app
        self._hub = hub
        self._streams = rooms.streams
        self._gatekeeper = rooms.gatekeeper
        self._key = key

    @property
    def left_behind(self) -> list[Collection[object]]:
        """Bells, streams and stays."""
        held = (self._hub._bells, self._streams._channels, self._streams._runs, self._gatekeeper._visits)
        return [one for one in held if one]

    async def visit(self, path: str, *, leaves_at: str) -> list[Message]:
        """A viewer who is gone at once, or as soon as the server begins to send this; what they were sent by then."""
        viewer = _Leaver(leaves_at)
        async with asyncio.timeout(10):
            await self._app(self._scope(path, viewer), viewer.receive, viewer.send)
        return viewer.sent

    def _scope(self, path: str, wire: Outlet) -> Scope:
        headers = [(b"host", b"here"), (b"authorization", f"Bearer {self._key}".encode())]
        address = {"scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""}
        peers = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
        asked = {"type": "http", "asgi": {"version": "3.0"}, "method": "GET", "headers": headers, "wire": wire}
        return {**asked, **address, **peers}


class _Leaver:
    """One end of a connection; the other takes nothing from a certain message on."""

    def __init__(self, leaves_at: str) -> None:
        self.sent: list[Message] = []
        self._leaves_at = leaves_at
        self._gone = asyncio.Event()
        self._asked: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
        if leaves_at == "once":
            self._gone.set()

    async def receive(self) -> Message:
        """The request, and then nothing more until the connection ends."""
        if self._asked:
            return self._asked.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Written, or dropped: who is gone reads nothing."""
        self._note(message)

    def _note(self, message: Message) -> None:
        if message["type"] == self._leaves_at:
            self.cut()
        if not self._gone.is_set() or self._leaves_at == "once":
            self.sent.append(message)

    def write(self, chunk: bytes) -> bool:
        """As the server's connection does, past `send`."""
        self._note({"type": "http.response.body", "body": chunk, "more_body": True})
        return True

    @property
    def is_gone(self) -> bool:
        """As the server knows it."""
        return self._gone.is_set()

    def give_up_after(self, seconds: float) -> None:
        """The system's affair."""

    def end(self) -> bool:
        """The same."""
        self._note({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    async def room(self) -> None:
        """There is always some."""

    def cut(self) -> None:
        """The connection ends."""
        self._gone.set()


@asynccontextmanager
async def _open_hall(data_dir: Path) -> AsyncIterator[Hall]:
    settings = Settings(auth="key", router="http", router_url="http://127.0.0.1:1", router_token="t", data_dir=data_dir)  # noqa: S106
    key, text = new_key("vera", Role.VIEWER, now=NOON, expires=None)
    async with open_keys(database_in(data_dir), now=lambda: NOON) as keys:
        await keys.keep(key)
    hub = Hub()
    app = create_app(settings, hub=hub)
    async with open_rooms(settings, hub=hub) as rooms:
        await rooms.history.keep(first_heard(report(2, "running"), streamed=True))
        app.state.rooms = rooms
        hall = Hall(staying(app), hub, rooms, text)
        await hall.visit("/v1/events", leaves_at="http.response.body")  # what the first stream begins stays for all
        yield hall


async def test_a_viewer_who_leaves_before_the_stream_began_leaves_nothing_behind(tmp_path: Path) -> None:
    """What a request takes is given back by what the stream does last, and that never runs where it was never begun."""
    streams = ("/v1/events", f"/v1/jobs/{JOB}/events")
    async with _open_hall(tmp_path) as hall:
        before = asyncio.all_tasks()

        shown = [await hall.visit(path, leaves_at=moment) for path in streams for moment in MOMENTS]
        shown.append(await hall.visit(f"/v1/jobs/{JOB}/wait", leaves_at="once"))

        await until(lambda: not hall.left_behind and asyncio.all_tasks() <= before)

    begun = [message["status"] for sent in shown for message in sent if message["type"] == "http.response.start"]
    assert begun == [200, 200, 200, 200, 202]


# The table


def table() -> list[list[str]]:
    """Its rows."""
    return [cells for cells in rows(ARCHITECTURE) if SHOWN_BY.search(cells[-1])]


@pytest.mark.parametrize("row", table(), ids=lambda row: row[0][:60])
def test_every_test_that_the_table_of_traps_names_is_there(row: list[str]) -> None:
    """A test that was renamed or taken away would leave a promise that nobody keeps."""
    named = SHOWN_BY.findall(row[-1])

    assert len(row) == 3
    assert row[-1] == ", ".join(f"`{file}::{name}`" for file, name in named)
    assert [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")] == []


def test_every_test_made_for_a_trap_stands_in_the_table() -> None:
    """The other way about."""
    named = {(file, name) for row in table() for file, name in SHOWN_BY.findall(row[-1])}
    made = {(file, name) for file in OURS for name in _tests_in(ROOT / file) if "the_table" not in name}

    assert len(table()) == 20
    assert made - named == set()


def _tests_in(file: Path) -> list[str]:
    return re.findall(r"^(?:async )?def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
