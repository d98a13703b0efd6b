"""`gateway key`: create, list and revoke, also beside a gateway that runs; and what follows for who is connected."""

import asyncio
import re
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from app.domain.access import Role
from app.domain.keys import Key
from app.keys import commands
from app.store.memory import open_keys
from app.store.numbers import to_us
from tests.support.events import ndjson, sse
from tests.support.gateway import NDJSON, Caller
from tests.support.keys import Guarded, database_in, key_command, made_key, with_key
from tests.support.network import REGRESSION, RunningNetwork

WITHIN_S = 20.0
KEY = re.compile(r"tbg_[0-9a-f]{12}_[\w-]{43}")
EXPIRES_IN = timedelta(seconds=1)
_LOOK_AGAIN_S = 0.05

Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`gateway key …` on a data folder of its own, in this process."""
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
    runner = CliRunner()
    return lambda *arguments: runner.invoke(commands, arguments)


# Create


def test_the_key_stands_alone_on_standard_output(command: Command) -> None:
    """`KEY=$(gateway key create …)`; the words are for the eyes."""
    made = command("create", "sam", "--role", "submitter")

    assert made.exit_code == 0
    assert KEY.fullmatch(made.stdout.removesuffix("\n"))
    assert made.stdout.split("_")[1] in made.stderr
    assert "sam, submitter" in made.stderr
    assert made.stdout.strip() not in made.stderr


@pytest.mark.parametrize(
    ("options", "days"), [([], 180), (["--days", "1"], 1), (["--days", "3650"], 3650), (["--forever"], None)]
)
def test_a_key_expires_unless_it_is_meant_to_stay(
    command: Command, tmp_path: Path, options: list[str], days: int | None
) -> None:
    """Half a year is what one gets without thinking."""
    before = datetime.now(UTC)

    made = command("create", "sam", "--role", "viewer", *options)

    (key,) = kept_in(tmp_path)
    if days is None:
        assert key.expires is None
        assert "does not expire" in made.stderr
    else:
        assert key.expires is not None
        assert timedelta(0) <= key.expires - before - timedelta(days=days) < timedelta(minutes=5)
        assert f"{key.expires:%Y-%m-%d}" in made.stderr


def kept_in(data_dir: Path) -> list[Key]:
    async def read() -> list[Key]:
        async with open_keys(database_in(data_dir), now=lambda: datetime.now(UTC)) as keys:
            return list(await keys.all())

    return asyncio.run(read())


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("sam",),
        ("--role", "viewer"),
        ("sam", "--role", "owner"),
        ("sam", "--role", ""),
        ("", "--role", "viewer"),
        ("  ", "--role", "viewer"),
        ("a\nb", "--role", "viewer"),
        ("x" * 101, "--role", "viewer"),
        ("sam", "--role", "viewer", "--days", "0"),
        ("sam", "--role", "viewer", "--days", "-1"),
        ("sam", "--role", "viewer", "--days", "3651"),
        ("sam", "--role", "viewer", "--days", "soon"),
    ],
)
def test_what_makes_no_sense_makes_no_key(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Nothing on standard output, for that would be taken for a key."""
    refused = command("create", *arguments)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr
    assert not (tmp_path / "gateway.db").exists()


def test_no_secret_is_on_disk(command: Command, tmp_path: Path) -> None:
    """Backups are read by many."""
    secret = command("create", "sam", "--role", "admin").stdout.strip().split("_", 2)[2]

    assert [file.name for file in tmp_path.iterdir() if secret.encode() in file.read_bytes()] == []


# List and revoke


def test_the_list_shows_every_key_and_opens_nothing(command: Command) -> None:
    """Whose, which role, until when, when last; revoked ones, too."""
    keys = [
        command("create", user, "--role", role).stdout.strip() for user, role in (("sam", "viewer"), ("ada", "admin"))
    ]
    ids = [key.split("_")[1] for key in keys]
    revoked = command("revoke", ids[0])

    listed = command("list")

    header, *lines = listed.stdout.splitlines()
    assert header.split() == ["ID", "ROLE", "STATE", "CREATED", "EXPIRES", "LAST", "USED", "USER"]
    assert [line.split()[:3] for line in lines] == [[ids[0], "viewer", "revoked"], [ids[1], "admin", "valid"]]
    assert [line.split()[-2:] for line in lines] == [["never", "sam"], ["never", "ada"]]
    assert [key for key in keys if key.split("_", 2)[2] in listed.output] == []
    assert (revoked.exit_code, ids[0] in revoked.stdout) == (0, True)


def test_an_expired_key_is_listed_as_such(command: Command, tmp_path: Path) -> None:
    """Its owner asks why it lets nobody in."""
    asyncio.run(made_key(tmp_path, "sam", expires_in=timedelta(0)))

    assert command("list").stdout.splitlines()[1].split()[2] == "expired"


def test_revoking_what_there_is_not_says_so(command: Command) -> None:
    """A slip of the finger must not look like a revocation."""
    refused = command("revoke", "0a1b2c3d4e5f")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "gateway key list" in refused.stderr


def test_revoking_again_is_no_error(command: Command) -> None:
    """It is as it should be."""
    key_id = command("create", "sam", "--role", "viewer").stdout.split("_")[1]

    assert [command("revoke", key_id).exit_code for _ in range(2)] == [0, 0]


# Beside a gateway that runs


async def test_a_key_made_used_and_revoked_beside_a_running_gateway(
    guarded: Guarded, running_network: RunningNetwork
) -> None:
    """By the real command, and without a restart; who was watching with it is sent home, the others are not."""
    data_dir = guarded.gateway.data_dir
    made = await key_command(data_dir, "create", "gone", "--role", "viewer")
    text = made.stdout.removesuffix("\n")
    key_id = text.split("_")[1]
    assert KEY.fullmatch(text), made.stderr

    async with AsyncExitStack() as stack:
        gone = await stack.enter_async_context(with_key(guarded.gateway, text))
        root = await stack.enter_async_context(guarded.client("root"))
        caller = Caller(guarded.gateway, running_network, root)
        path = f"/v1/jobs/{(await caller.create(REGRESSION))['id']}/events"
        ticket = (await gone.post("/v1/stream-tickets", json={})).json()["url"]
        browser = await stack.enter_async_context(guarded.gateway.client())
        leaving = [
            await watch(gone, path),
            await watch(gone, path, **NDJSON),
            await watch(gone, "/v1/events"),
            await watch(browser, ticket),
        ]
        staying = [await watch(root, path), await watch(root, path, **NDJSON)]

        listed = (await listed_once_used(data_dir, key_id)).split()
        revoked = await key_command(data_dir, "revoke", key_id)
        refused = await gone.get("/v1/jobs")
        async with asyncio.timeout(WITHIN_S):
            heard = await asyncio.gather(*(one.heard for one in leaving))  # one that was cut would raise here
        again = [(await browser.get(ticket)).status_code, (await gone.get(path)).status_code]
        went_on = [one.heard.done() for one in staying]
        await root.post(path.replace("/events", "/cancel"))
        async with asyncio.timeout(WITHIN_S):
            whole = await asyncio.gather(*(one.heard for one in staying))

    assert f"{datetime.now(UTC):%Y}-" in listed[5]
    assert revoked.returncode == 0
    assert (refused.status_code, refused.json()["code"]) == (401, "key-invalid")
    assert [sse(heard[0])[0].name, ndjson(heard[1])[0].name, sse(heard[2])[0].name] == ["snapshot"] * 3
    assert "end" not in {event.name for event in [*sse(heard[0]), *ndjson(heard[1])]}
    assert (again, went_on) == ([401, 401], [False, False])
    assert [sse(whole[0])[-1].name, ndjson(whole[1])[-1].name] == ["end", "end"]


async def listed_once_used(data_dir: Path, key_id: str) -> str:
    """The key's line in `gateway key list`, once the gateway has noted that it was used."""
    async with asyncio.timeout(WITHIN_S), open_keys(database_in(data_dir), now=lambda: datetime.now(UTC)) as keys:
        while (key := await keys.key(key_id)) is None or key.used is None:  # noqa: ASYNC110  (another process notes it)
            await asyncio.sleep(_LOOK_AGAIN_S)
    listed = await key_command(data_dir, "list")
    return next(line for line in listed.stdout.splitlines() if line.startswith(key_id))


async def test_a_key_that_expires_while_its_streams_are_open_ends_them(
    guarded: Guarded, running_network: RunningNetwork
) -> None:
    """Nobody does anything for it."""
    async with guarded.client("sam") as sam:
        path = f"/v1/jobs/{(await Caller(guarded.gateway, running_network, sam).create(REGRESSION))['id']}/events"
        key, text = await made_key(guarded.gateway.data_dir, "eve", Role.ADMIN, expires_in=timedelta(days=1))
        async with with_key(guarded.gateway, text) as eve:
            leaving = [await watch(eve, path), await watch(eve, path, **NDJSON), await watch(eve, "/v1/events")]
            staying = await watch(sam, path)

            expires = datetime.now(UTC) + EXPIRES_IN
            let_expire(guarded.gateway.data_dir, key.id, expires)
            async with asyncio.timeout(WITHIN_S):
                await asyncio.gather(*(one.heard for one in leaving))
            ended = datetime.now(UTC)
            refused = [(await eve.get(where)).status_code for where in ("/v1/jobs", path)]
            went_on = not staying.heard.done()
            await sam.post(path.replace("/events", "/cancel"))
            await staying.heard

    assert ended >= expires
    assert refused == [401, 401]
    assert went_on


def let_expire(data_dir: Path, key_id: str, when: datetime) -> None:
    """As if the key had been made for so long: made so, it might be over before its streams are open."""
    with closing(sqlite3.connect(data_dir / "gateway.db", timeout=WITHIN_S)) as database, database:
        database.execute("UPDATE api_key SET expires_us = ? WHERE key_id = ?", (to_us(when), key_id))


class Watching:
    """A stream that is read to its orderly end."""

    def __init__(self, client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
        self.opened = asyncio.Event()
        self.heard = asyncio.create_task(self._read(client, path, headers))

    async def _read(self, client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> bytes:
        heard = b""
        async with client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            async for piece in answer.aiter_raw():
                heard += piece
                self.opened.set()
        return heard


async def watch(client: httpx.AsyncClient, path: str, **headers: str) -> Watching:
    """Return once the stream has begun."""
    watching = Watching(client, path, headers)
    opening = asyncio.create_task(watching.opened.wait())
    async with asyncio.timeout(WITHIN_S):
        await asyncio.wait([opening, watching.heard], return_when=asyncio.FIRST_COMPLETED)
    opening.cancel()
    if watching.heard.done():
        watching.heard.result()
    return watching
