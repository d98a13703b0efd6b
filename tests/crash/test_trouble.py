"""A gateway at work when its file, its folder or its disk is not as it should be: what is told, and what goes on."""

import asyncio
import json
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.commands import AS_ANYBODY, gateway, run_gateway
from tests.support.databases import overwrite, overwrite_page
from tests.support.gateway import Gateway, Listener
from tests.support.scripted import TOKEN, ScriptedNetwork

_LOOK_AGAIN_S = 0.02


@pytest.fixture
async def own(network: ScriptedNetwork, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway of the scripted network, to be stopped and started at will; it knows a job that has said one thing."""
    own = Gateway(tmp_path, GATEWAY_ROUTER_URL=network.url, GATEWAY_ROUTER_TOKEN=TOKEN)
    try:
        await asyncio.to_thread(own.start)
        await network.router_says("running")
        await network.stream_says(b'{"n":0}')
        async with watching(own) as watcher:
            await heard(watcher, network, n=0)
        yield own
    finally:
        own.end()


@asynccontextmanager
async def watching(own: Gateway) -> AsyncIterator[Listener]:
    async with own.client() as client:
        yield Listener(own, client)


async def heard(watcher: Listener, network: ScriptedNetwork, *, n: int) -> list[int]:
    """All that the job's viewers were told by the Access Point, once it is so far."""
    async with watcher.listening(f"/v1/jobs/{network.job_id}/events") as events:
        told: list[int] = []
        async for event in events:
            if event.name == "message":
                told.append(event.json["n"])
            if told and told[-1] == n:
                return told
    raise AssertionError(told)


async def asked_to_write(client: httpx.AsyncClient) -> str:
    """What is said to who wants something done; nothing was."""
    answer = await client.post("/v1/jobs", json={"job_name": "a job", "operation": "REGRESSION"})
    assert (answer.status_code, answer.json()["code"]) == (503, "history-unavailable"), answer.text
    return str(answer.json()["detail"])


async def reads_go_on(client: httpx.AsyncClient, network: ScriptedNetwork) -> bool:
    """The job, and the list it stands in."""
    job, page = await client.get(f"/v1/jobs/{network.job_id}"), await client.get("/v1/jobs")
    return job.status_code == 200 and [one["id"] for one in page.json()["items"]] == [network.job_id]


async def no_longer_ready(watcher: Listener) -> str:
    """What it says then."""
    async with asyncio.timeout(20):
        while (told := (await watcher.client.get("/readyz")).json()).get("code") != "history-unavailable":  # noqa: ASYNC110  (no bell rings for it)
            await asyncio.sleep(_LOOK_AGAIN_S)
    assert told["status"] == 503
    return str(told["detail"])


def replace(database: Path) -> None:
    """By what somebody took for the right one."""
    content = database.read_bytes()
    database.unlink()
    database.write_bytes(content)


@pytest.mark.parametrize("change", [Path.unlink, replace])
async def test_a_file_that_was_deleted_or_replaced_is_noticed_before_anything_is_written(
    own: Gateway, network: ScriptedNetwork, change: Callable[[Path], None]
) -> None:
    """Nobody is told what is in no file; and it is noticed also while nothing happens."""
    async with watching(own) as watcher:
        change(own.data_dir / "gateway.db")

        said = await no_longer_ready(watcher)
        refused = await asked_to_write(watcher.client)
        await network.stream_says(b'{"n":1}')
        reads = await reads_go_on(watcher.client, network)
        history = await watcher.get(f"/v1/jobs/{network.job_id}/history")
        alive = await watcher.client.get("/livez")

    assert "was deleted or replaced" in said
    assert refused == said
    assert (reads, alive.status_code) == (True, 200)
    assert [row["data"] for row in history["items"] if row["event"] == "message"] == [{"n": 0}]
    stops = [line for line in logged(own) if line["event"] == "writing stopped"]
    assert [(line["level"], line["why"]) for line in stops] == [("error", said)]


async def test_damage_that_shows_at_work_ends_the_writing_until_a_backup_is_restored(
    own: Gateway, network: ScriptedNetwork, tmp_path: Path
) -> None:
    """It says what to do, and that is enough to be well again."""
    copy = tmp_path / "copy.db"
    assert (await gateway("backup", copy, data_dir=own.data_dir)).returncode == 0
    own.stop()
    overwrite_page(own.data_dir / "gateway.db", "event_of_job")
    await asyncio.to_thread(own.start)
    async with watching(own) as watcher:
        await network.stream_says(b'{"n":1}')
        said = await no_longer_ready(watcher)
        refused = await asked_to_write(watcher.client)
        reads = await reads_go_on(watcher.client, network)
    own.stop()

    restored = await gateway("restore", copy, data_dir=own.data_dir)
    await asyncio.to_thread(own.start)
    async with watching(own) as watcher:
        told = await heard(watcher, network, n=1)
        await watcher.eventually("/readyz", lambda ready: ready["status"] == "ready")

    assert "damaged" in said
    assert "gateway restore FILE" in said
    assert (refused, reads) == (said, True)
    assert [line["level"] for line in logged(own) if line["event"] == "writing stopped"] == ["error"]
    assert restored.returncode == 0, restored.stderr
    assert told == [0, 1]


async def test_a_database_that_is_damaged_at_first_sight_is_refused_at_the_start(own: Gateway) -> None:
    """In one sentence, and left as it is."""
    own.stop()
    database = own.data_dir / "gateway.db"
    overwrite(database, at=0, length=100)

    refused = await gateway("serve", data_dir=own.data_dir)

    (line,) = refused.stderr.splitlines()
    assert refused.returncode == 1
    assert "is damaged (file is not a database)" in line
    assert "gateway restore FILE" in line


async def test_a_full_disk_is_told_and_all_is_caught_up_once_there_is_room(
    own: Gateway, network: ScriptedNetwork
) -> None:
    """What was durable stays readable, and nobody has to do anything but make room."""
    async with watching(own) as watcher:
        with disk_full(own):
            said = await asked_to_write(watcher.client)
            await network.stream_says(b'{"n":1}')
            reads = await reads_go_on(watcher.client, network)
            ready = await watcher.client.get("/readyz")
        told = await heard(watcher, network, n=1)

    assert "the disk is full" in said
    assert (reads, ready.status_code) == (True, 200)
    assert told == [0, 1]


async def test_a_database_that_another_program_holds_is_told_and_nothing_is_lost(
    own: Gateway, network: ScriptedNetwork
) -> None:
    """For longer than one waits for it."""
    async with watching(own) as watcher:
        with closing(sqlite3.connect(own.data_dir / "gateway.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await network.stream_says(b'{"n":1}')
            said = await asked_to_write(watcher.client)
            reads = await reads_go_on(watcher.client, network)
        told = await heard(watcher, network, n=1)

    assert "another program has held the database for too long" in said
    assert reads
    assert told == [0, 1]


@pytest.mark.parametrize(("what", "mode"), [("gateway.db", 0o400), (".", 0o500)], ids=["file", "folder"])
def test_what_can_only_be_read_is_refused_at_the_start(tmp_path: Path, what: str, mode: int) -> None:
    """Once it serves it would be too late to say so."""
    data_dir = tmp_path / "data"
    run_gateway("migrate", data_dir=data_dir)
    for lock in data_dir.glob("*.lock"):
        lock.unlink()

    with only_read(data_dir / what, mode):
        settings = {"GATEWAY_ROUTER_URL": "http://127.0.0.1:1", "GATEWAY_ROUTER_TOKEN": "none"}
        refused = run_gateway("serve", data_dir=data_dir, through=AS_ANYBODY, **settings)

    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert f"gateway: The database {data_dir / 'gateway.db'} cannot be opened" in line
    assert "writ" in line


@pytest.mark.parametrize(("what", "mode"), [("gateway.db", 0o400), (".", 0o500)], ids=["file", "folder"])
async def test_what_becomes_read_only_while_it_is_open_stops_nothing(
    own: Gateway, network: ScriptedNetwork, what: str, mode: int
) -> None:
    """What is open stays open; the next start says so."""
    with only_read(own.data_dir / what, mode):
        async with watching(own) as watcher:
            await network.stream_says(b'{"n":1}')
            told = await heard(watcher, network, n=1)
            ready = await watcher.client.get("/readyz")

    assert (told, ready.status_code) == ([0, 1], 200)


@contextmanager
def only_read(what: Path, mode: int) -> Iterator[None]:
    """By whoever is not root."""
    was = what.stat().st_mode
    what.chmod(mode)
    try:
        yield
    finally:
        what.chmod(was)


@contextmanager
def disk_full(own: Gateway) -> Iterator[None]:
    """No file of the process grows any more."""
    was = resource.prlimit(own.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(own.pid, resource.RLIMIT_FSIZE, (1, was[1]))
    try:
        yield
    finally:
        resource.prlimit(own.pid, resource.RLIMIT_FSIZE, was)


def logged(own: Gateway) -> list[dict[str, object]]:
    return [json.loads(line) for line in own.log.splitlines()]
