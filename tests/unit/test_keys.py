"""Keys: what is kept can check the secret and cannot tell it. And statements that are seen through."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.access import Role
from app.domain.errors import StoreAway
from app.domain.keys import fingerprint, id_and_secret, new_key
from app.store.database import Database, open_database
from app.store.keys import SqlKeys, SqlPasses
from tests.support.news import NOON

A_SECOND = timedelta(seconds=1)
PATH, OTHER_PATH = "/v1/events", "/v1/jobs/1/events"
EVERYTHING = sa.text("SELECT a.name FROM sqlite_master AS a, sqlite_master AS b")
NONSENSE = sa.text("SELECT * FROM no_such_table")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite:///{tmp_path / 'gateway.db'}") as opened:
        yield opened


@pytest.fixture
def keys(database: Database) -> SqlKeys:
    return SqlKeys(database, now=lambda: NOON)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON


# A key as text


@pytest.mark.parametrize("role", list(Role))
def test_a_key_opens_with_what_its_text_holds(role: Role) -> None:
    """The one time it is shown."""
    key, text = new_key("sam", role, now=NOON, expires=None)

    key_id, secret = id_and_secret(text)

    assert text.startswith("tbg_")
    assert key_id == key.id
    assert key.opens_with(secret)
    assert (key.caller.user, key.caller.role, key.caller.key_id) == ("sam", role, key.id)


def test_a_secret_that_holds_the_separator_is_read_whole() -> None:
    """It is URL-safe base 64, in which an underscore is a digit."""
    assert id_and_secret("tbg_0a1b_se_cr_et_") == ("0a1b", "se_cr_et_")


@pytest.mark.parametrize("text", ["", "tbg", "TBG_1_2", "xyz_1_2", "_1_2", "tbg-1-2", "1_2", " tbg_1_2"])
def test_what_is_no_key_has_no_id(text: str) -> None:
    """Nothing is looked up for it."""
    assert id_and_secret(text)[0] == ""


@given(st.text())
def test_any_text_at_all_is_taken_apart(text: str) -> None:
    """It comes from outside."""
    key_id, secret = id_and_secret(text)

    assert key_id == secret == "" or f"tbg_{key_id}_{secret}" in (text, f"{text}_")


def test_no_two_keys_are_alike() -> None:
    """Ids are kept apart in lists, secrets by nobody."""
    made = [new_key("sam", Role.VIEWER, now=NOON, expires=None) for _ in range(100)]

    assert len({key.id for key, _ in made}) == len({text for _, text in made}) == 100


# What opens it


def test_nothing_but_the_whole_secret_opens_it() -> None:
    """Not a beginning, not an end, not nothing, and not what is kept in its place."""
    key, text = new_key("sam", Role.ADMIN, now=NOON, expires=None)
    secret = id_and_secret(text)[1]

    wrong = [secret[:-1], secret[1:], "", secret + "a", secret.swapcase(), text, key.fingerprint, key.id]

    assert [one for one in wrong if key.opens_with(one)] == []


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it took must not tell how much was right."""
    compared = []

    def compare_digest(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("app.domain.keys.hmac.compare_digest", compare_digest)
    key, text = new_key("sam", Role.VIEWER, now=NOON, expires=None)

    assert key.opens_with(id_and_secret(text)[1])
    assert not key.opens_with("x")
    assert compared == [(key.fingerprint, key.fingerprint), (key.fingerprint, fingerprint("x"))]


def test_nothing_that_is_kept_or_shown_holds_the_secret() -> None:
    """A backup of the database, a log and a traceback open nothing."""
    key, text = new_key("sam", Role.ADMIN, now=NOON, expires=None)

    assert id_and_secret(text)[1] not in f"{key!r} {key} {key.caller!r} {key.fingerprint}"


@pytest.mark.parametrize(
    ("expires", "revoked", "valid"),
    [
        (None, None, True),
        (NOON + timedelta(microseconds=1), None, True),
        (NOON, None, False),
        (NOON - A_SECOND, None, False),
        (None, NOON - A_SECOND, False),
        (NOON + A_SECOND, NOON + A_SECOND, False),
    ],
)
def test_a_key_is_valid_before_it_expires_and_until_it_is_revoked(
    expires: object, revoked: object, valid: bool
) -> None:
    """At the moment it expires it is over."""
    key = replace(new_key("sam", Role.VIEWER, now=NOON, expires=None)[0], expires=expires, revoked=revoked)

    assert key.is_valid(now=NOON) is valid


# On disk


@pytest.mark.parametrize("expires", [None, NOON + A_SECOND])
async def test_a_key_comes_back_from_its_row_as_it_was(keys: SqlKeys, expires: None) -> None:
    """The gateway and the command line are two programs."""
    key = new_key("Samira Ünal", Role.APPROVER, now=NOON, expires=expires)[0]

    await keys.keep(key)

    assert await keys.key(key.id) == key
    assert await keys.all() == await keys.some([key.id, "none"]) == [key]


async def test_a_key_never_made_is_none(keys: SqlKeys) -> None:
    """Not an error: somebody guesses."""
    assert await keys.key("none") is None
    assert await keys.some([]) == []


async def test_keys_are_listed_oldest_first(keys: SqlKeys) -> None:
    """As they came about."""
    made = [new_key(f"user {n}", Role.VIEWER, now=NOON + n * A_SECOND, expires=None)[0] for n in range(3)]
    for key in (made[1], made[2], made[0]):
        await keys.keep(key)

    assert await keys.all() == made


async def test_a_key_is_revoked_once_and_for_good(database: Database) -> None:
    """The second time does not move the moment of the first."""
    clock = Clock()
    keys = SqlKeys(database, now=lambda: clock.now)
    key = new_key("sam", Role.VIEWER, now=NOON, expires=None)[0]
    await keys.keep(key)

    first = await keys.revoke(key.id)
    clock.now += A_SECOND
    second = await keys.revoke(key.id)

    assert (first, second, await keys.revoke("none")) == (True, True, False)
    assert await keys.key(key.id) == replace(key, revoked=NOON)


async def test_the_last_use_of_each_key_is_noted(keys: SqlKeys) -> None:
    """And touches no other."""
    used, other = (new_key("sam", Role.VIEWER, now=NOON, expires=None)[0] for _ in range(2))
    await keys.keep(used)
    await keys.keep(other)

    await keys.note_use({used.id: NOON + A_SECOND})

    assert await keys.key(used.id) == replace(used, used=NOON + A_SECOND)
    assert await keys.key(other.id) == other


# Passes on disk


async def test_of_many_who_come_with_one_ticket_at_once_one_is_let_in(database: Database) -> None:
    """Whoever read it over a shoulder is too late, or is noticed."""
    passes = SqlPasses(database, now=lambda: NOON)
    await passes.keep("ticket", key_id="k", path=PATH, expires=NOON + A_SECOND)

    let_in = await asyncio.gather(
        *(passes.exchange("ticket", cookie=f"cookie {n}", path=PATH, expires=NOON + A_SECOND) for n in range(8))
    )

    assert sorted(let_in) == [False] * 7 + [True]
    assert [await passes.key_of(f"cookie {n}", path=PATH) for n in range(8)].count("k") == 1


async def test_a_ticket_elsewhere_or_too_late_opens_nothing_and_is_not_used_up_elsewhere(database: Database) -> None:
    """A try at the wrong stream does not cost the right one."""
    clock = Clock()
    passes = SqlPasses(database, now=lambda: clock.now)
    await passes.keep("ticket", key_id="k", path=PATH, expires=NOON + A_SECOND)
    until = NOON + 2 * A_SECOND

    assert not await passes.exchange("ticket", cookie="c", path=OTHER_PATH, expires=until)
    clock.now = NOON + A_SECOND
    assert not await passes.exchange("ticket", cookie="c", path=PATH, expires=until)
    clock.now -= timedelta(microseconds=1)
    assert await passes.exchange("ticket", cookie="c", path=PATH, expires=until)
    assert await passes.key_of("c", path=OTHER_PATH) is None


async def test_a_cookie_is_good_until_it_expires_or_for_as_long_as_it_is_prolonged(database: Database) -> None:
    """A browser that was closed does not leave a door open for ever."""
    clock = Clock()
    passes = SqlPasses(database, now=lambda: clock.now)
    for name in ("a", "b"):
        await passes.keep(name, key_id="k", path=PATH, expires=NOON + A_SECOND)
        await passes.exchange(name, cookie=f"cookie {name}", path=PATH, expires=NOON + A_SECOND)

    await passes.prolong(["cookie a"], expires=NOON + 2 * A_SECOND)
    clock.now += A_SECOND

    assert await passes.key_of("cookie a", path=PATH) == "k"
    assert await passes.key_of("cookie b", path=PATH) is None


async def test_a_key_has_only_so_many_passes_and_expired_ones_do_not_count(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that asks in a loop must not fill the disk."""
    monkeypatch.setattr("app.store.keys._PASSES_OF_A_KEY", 2)
    clock = Clock()
    passes = SqlPasses(database, now=lambda: clock.now)

    async def kept(name: str, key_id: str | None) -> bool:
        return await passes.keep(name, key_id=key_id, path=PATH, expires=clock.now + A_SECOND)

    assert [await kept(name, "k") for name in "abc"] == [True, True, False]
    assert await kept("d", "another key")
    assert [await kept(name, None) for name in "efg"] == [True, True, False]
    clock.now += A_SECOND
    assert await kept("h", "k")


async def test_tickets_that_were_used_do_not_count_as_tickets(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is loaded again and again is no page that asks in a loop."""
    monkeypatch.setattr("app.store.keys._TICKETS_OF_A_KEY", 1)
    monkeypatch.setattr("app.store.keys._PASSES_OF_A_KEY", 3)
    passes = SqlPasses(database, now=lambda: NOON)
    kept = []

    for name in "abcd":
        kept.append(await passes.keep(name, key_id="k", path=PATH, expires=NOON + A_SECOND))
        await passes.exchange(name, cookie=f"cookie {name}", path=PATH, expires=NOON + A_SECOND)

    assert kept == [True, True, True, False]


async def test_neither_ticket_nor_cookie_is_on_disk(database: Database, tmp_path: Path) -> None:
    """Whoever reads the file must not be able to watch."""
    passes = SqlPasses(database, now=lambda: NOON)
    await passes.keep("the-ticket", key_id="k", path=PATH, expires=NOON + A_SECOND)
    await passes.exchange("the-ticket", cookie="the-cookie", path=PATH, expires=NOON + A_SECOND)

    written = b"".join(file.read_bytes() for file in sorted(tmp_path.iterdir()))  # noqa: ASYNC240  (a few kilobytes)

    assert PATH.encode() in written
    assert b"the-ticket" not in written
    assert b"the-cookie" not in written


# Statements are seen through


class Pool:
    """The connections that an engine has open, and how many it ever opened and closed."""

    def __init__(self, database: Database) -> None:
        self.opened = 0
        self.closed = 0
        assert isinstance(database._engine.pool, sa.QueuePool)
        self._pool = database._engine.pool
        sa.event.listen(database._engine, "connect", self._count_opened)
        for how in ("close", "invalidate", "soft_invalidate", "detach", "close_detached"):
            sa.event.listen(database._engine, how, self._count_closed)

    @property
    def in_use(self) -> int:
        """Connections that somebody has and has not given back."""
        return self._pool.checkedout()

    def _count_opened(self, *_: object) -> None:
        self.opened += 1

    def _count_closed(self, *_: object) -> None:
        self.closed += 1


async def test_readers_that_leave_cost_no_connection(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Viewers come and go all day: a connection that is left half-way is thrown away, and its file handle with it."""
    caplog.set_level(logging.DEBUG, logger="asyncio")
    pool = Pool(database)
    await asyncio.gather(*(database.fetch(EVERYTHING) for _ in range(5)))

    for round_ in range(40):
        readers = [asyncio.ensure_future(database.fetch(EVERYTHING)) for _ in range(5)]
        for _ in range(round_):
            await asyncio.sleep(0)
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        assert all(reader.cancelled() or reader.exception() is None for reader in readers)

    assert pool.opened <= 5
    assert (pool.closed, pool.in_use) == (0, 0)
    assert noise(caplog) == []


async def test_who_leaves_does_not_take_the_statement_along(database: Database) -> None:
    """What was sent is done once the caller is gone: a ticket is used up, or it is not."""
    keys = SqlKeys(database, now=lambda: NOON)
    key = new_key("sam", Role.VIEWER, now=NOON, expires=None)[0]
    leaving = asyncio.ensure_future(keys.keep(key))
    await asyncio.sleep(0)

    leaving.cancel()
    await asyncio.wait([leaving])

    assert leaving.cancelled()
    assert await keys.key(key.id) == key


async def test_a_statement_that_fails_is_told_as_our_own_error(database: Database) -> None:
    """Readers above know no SQL."""
    with pytest.raises(StoreAway, match="cannot be read"):
        await database.fetch(NONSENSE)
    with pytest.raises(StoreAway, match="cannot be written"):
        await database.execute(NONSENSE)


async def test_a_statement_that_fails_for_somebody_who_left_is_not_cried_out(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is there to be told, and the log is not for what nobody needs to know."""
    for turns in range(20):
        leaving = asyncio.ensure_future(database.fetch(NONSENSE))
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert leaving.cancelled() or isinstance(leaving.exception(), StoreAway)
    del leaving
    gc.collect()

    assert noise(caplog) == []


def noise(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What asyncio and the pool complained of."""
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record.getMessage() for record in loud if record.name.startswith(("asyncio", "sqlalchemy"))]
