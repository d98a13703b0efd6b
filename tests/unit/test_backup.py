"""Copies: made beside a writer, whole or not there at all; put back without giving a number twice."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from msgspec.structs import replace

from app.domain.access import Role
from app.domain.errors import StoreAway
from app.domain.events import Event
from app.domain.keys import new_key
from app.domain.phases import Phase
from app.store.backup import LEFT_OUT, Copied, Restored, back_up, restore
from app.store.lock import alone
from app.store.schema import migrate, migrations
from app.store.stopping import Stop, Stopped
from tests.support.databases import change, files_in, overwrite, overwrite_page, remembering, rows_in, url_of
from tests.support.news import NOON, OTHER_JOB, job_in, told_messages

RUNNING = job_in(Phase.IN_PROGRESS)
OTHER = replace(RUNNING, id=OTHER_JOB)
RENAMES = 4  # of a whole restore: the copy gets its note, database and journal move aside, the copy moves in


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "gateway.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


def backed_up(path: Path, copy: Path) -> Copied:
    return back_up(url_of(path), copy, stop=Stop())


def restored(path: Path, copy: Path) -> Restored:
    return restore(url_of(path), copy, now=NOON, stop=Stop())


def written(path: Path, *sequences: int) -> list[int]:
    """The numbers that these messages got."""

    async def write() -> list[int]:
        told: list[Event] = []
        async with remembering(path, told=told) as memory:
            await memory.history.keep(told_messages(RUNNING, *sequences))
        return [event.id for event in told]

    return asyncio.run(write())


def killed_after(path: Path, left: Path, *sequences: int) -> list[int]:
    """The same by a gateway that leaves its journal; the files are in another folder then."""

    async def write() -> list[int]:
        told: list[Event] = []
        async with remembering(path, told=told) as memory:
            await memory.history.keep(told_messages(RUNNING, *sequences))
            for name, content in files_in(path.parent).items():
                if not name.endswith("-shm"):
                    (left / name).write_bytes(content)
        return [event.id for event in told]

    left.mkdir()
    return asyncio.run(write())


# Back up


async def test_a_copy_made_beside_a_writer_holds_all_up_to_one_moment(path: Path, copy: Path) -> None:
    """Of what is written meanwhile it has a beginning without a hole, and each piece of news whole."""
    told: list[Event] = []
    async with remembering(path, told=told) as memory:
        await memory.history.keep(told_messages(RUNNING, *range(2_000)))
        begun = told[-1].id
        copying = asyncio.create_task(asyncio.to_thread(backed_up, path, copy))
        sequence = 2_000
        while not copying.done():
            await memory.history.keep(told_messages(OTHER, sequence, sequence + 1, sequence + 2))
            sequence += 3
        copied = await copying
        await memory.history.keep(told_messages(OTHER, sequence))

    numbers = [number for (number,) in rows_in(copy, "SELECT id FROM event ORDER BY id")]
    assert numbers == [event.id for event in told][: len(numbers)]
    assert begun <= len(numbers) < len(told)
    assert (len(numbers) - begun) % 3 == 0
    assert rows_in(copy, "PRAGMA integrity_check") == [("ok",)]
    assert (copied.events, copied.newest, copied.jobs) == (len(numbers), numbers[-1], 1 + (len(numbers) > begun))


def test_a_copy_is_one_file_for_its_owner_alone(path: Path, copy: Path) -> None:
    """It holds who did what, and travels."""
    written(path, 1)

    copied = backed_up(path, copy)

    assert copied.size == copy.stat().st_size
    assert copy.stat().st_mode & 0o777 == 0o600
    assert {one.name for one in copy.parent.iterdir()} == {"data", "copy.db"}
    assert rows_in(copy, "PRAGMA journal_mode") == [("delete",)]


def test_a_backup_overwrites_nothing(path: Path, copy: Path) -> None:
    """Not the one of yesterday, and not the database."""
    written(path, 1)
    copy.write_text("yesterday's")
    before = files_in(path.parent)

    for there in (copy, path):
        with pytest.raises(StoreAway, match="already"):
            backed_up(path, there)

    assert copy.read_text() == "yesterday's"
    assert files_in(path.parent) == before


def test_a_backup_of_a_damaged_database_says_so_and_leaves_nothing(path: Path, copy: Path) -> None:
    """Rather none than one that cannot be relied on; a check that looks at tables alone would miss an index."""
    written(path, *range(50))
    overwrite_page(path, "event_of_job")

    with pytest.raises(StoreAway, match="damaged"):
        backed_up(path, copy)

    assert [one.name for one in copy.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("folder", ["missing", "data/gateway.db"])
def test_a_folder_that_is_none_is_told_in_a_sentence(path: Path, tmp_path: Path, folder: str) -> None:
    """A misspelt path is the likeliest mistake."""
    written(path, 1)

    with pytest.raises(StoreAway, match="was not made"):
        backed_up(path, tmp_path / folder / "copy.db")


def test_where_there_is_no_database_none_is_made(path: Path, copy: Path) -> None:
    """A backup of nothing would look like one of something."""
    with pytest.raises(StoreAway, match="no database"):
        backed_up(path, copy)

    assert list(path.parent.iterdir()) == []


def test_a_backup_that_is_broken_off_leaves_nothing(path: Path, copy: Path) -> None:
    """A Ctrl-C in the middle."""
    written(path, *range(500))
    stop = Stop()
    stop.ask()

    with pytest.raises(Stopped):
        back_up(url_of(path), copy, stop=stop)

    assert [one.name for one in copy.parent.iterdir()] == ["data"]


# Restore


def test_what_the_copy_holds_is_back_and_what_was_there_is_kept(path: Path, copy: Path) -> None:
    """To restore the wrong one must not be the second disaster."""
    written(path, 1, 2)
    backed_up(path, copy)
    written(path, 3)
    before = path.read_bytes()

    done = restored(path, copy)

    assert done.aside is not None
    assert done.aside.read_bytes() == before
    assert done.aside.name == "gateway.db.replaced-20260301T120000.123456Z"
    assert [row[0] for row in rows_in(path, "SELECT data FROM event ORDER BY id")] == ["1", "2"]
    assert (done.copied.events, done.copied.jobs) == (2, 1)
    assert path.stat().st_mode & 0o777 == 0o600


def test_new_numbers_are_above_all_that_were_given_since_the_backup(path: Path, copy: Path) -> None:
    """Viewers have seen them; and the log says up to where it has a hole."""
    written(path, 1, 2)
    backed_up(path, copy)
    seen = written(path, *range(3, 60))

    done = restored(path, copy)
    new = written(path, 60)

    assert done.known
    assert done.after == seen[-1] + LEFT_OUT
    assert new == [done.after + 1]
    assert rows_in(path, "SELECT id, through FROM log_gap") == [(1, done.after)]


def test_restored_again_it_continues_above_what_was_given_in_between(path: Path, copy: Path) -> None:
    """However often, and however old the copy is."""
    written(path, 1)
    backed_up(path, copy)
    numbers = []
    for _ in range(3):
        restored(path, copy)
        numbers += written(path, 2)

    assert numbers == sorted(set(numbers))
    assert rows_in(path, "SELECT count(*) FROM log_gap") == [(1,)]
    assert len([one for one in files_in(path.parent) if ".replaced-" in one]) == 3


def test_numbers_are_left_out_also_where_those_of_before_cannot_be_read(path: Path, copy: Path) -> None:
    """Which is when one restores."""
    last = (written(path, 1, 2))[-1]
    backed_up(path, copy)
    written(path, 3)
    overwrite(path, at=0, length=path.stat().st_size)

    done = restored(path, copy)

    assert (done.known, done.after) == (False, last + LEFT_OUT)
    assert written(path, 4) == [done.after + 1]


def test_the_journal_of_a_gateway_that_was_killed_counts(path: Path, copy: Path, tmp_path: Path) -> None:
    """Its last numbers stand there alone; and with the database it moves aside, or it would be read into the copy."""
    written(path, 1)
    backed_up(path, copy)
    killed = tmp_path / "killed" / path.name
    last = killed_after(path, killed.parent, 2, 3)[-1]

    done = restored(killed, copy)

    assert done.after == last + LEFT_OUT
    assert done.aside is not None
    assert [row[0] for row in rows_in(done.aside, "SELECT data FROM event ORDER BY id")] == ["1", "2", "3"]
    assert [row[0] for row in rows_in(killed, "SELECT data FROM event")] == ["1"]


def test_where_no_database_was_the_copy_is_put(path: Path, copy: Path, tmp_path: Path) -> None:
    """On a new machine."""
    written(path, 1)
    backed_up(path, copy)

    done = restored(tmp_path / "new" / "gateway.db", copy)

    assert (done.aside, done.known) == (None, False)
    assert written(tmp_path / "new" / "gateway.db", 2) == [done.after + 1]


def test_an_older_copy_is_migrated(path: Path, copy: Path) -> None:
    """Backups are older than the program."""
    command.upgrade(migrations(url_of(copy)), "0002")
    written(path, 1)

    restored(path, copy)

    assert written(path, 1) == [1 + LEFT_OUT + 1]


async def test_a_key_that_was_revoked_since_stays_revoked(path: Path, copy: Path) -> None:
    """A backup must not open the door again to who was shown out."""
    keys = {name: new_key(name, Role.VIEWER, now=NOON, expires=None)[0] for name in ("stays", "leaves")}
    async with remembering(path) as memory:
        for key in keys.values():
            await memory.keys.keep(key)
    backed_up(path, copy)
    async with remembering(path) as memory:
        await memory.keys.revoke(keys["leaves"].id)

    restored(path, copy)

    async with remembering(path) as memory:
        left = {key.user: key.is_valid(now=NOON + timedelta(days=1)) for key in await memory.keys.all()}
    assert left == {"stays": True, "leaves": False}


def test_what_is_no_good_copy_changes_nothing(path: Path, copy: Path, tmp_path: Path) -> None:
    """It is looked at as a whole before anything is moved."""
    written(path, *range(50))
    backed_up(path, copy)
    before = files_in(path.parent)

    for number, (wrong, said) in enumerate(WRONG.items()):
        bad = tmp_path / f"{number}.db"
        bad.write_bytes(copy.read_bytes())
        make_wrong(bad, wrong)
        with pytest.raises(StoreAway, match=said):
            restored(path, bad)
        assert files_in(path.parent) == before, wrong
    with pytest.raises(StoreAway, match="database itself"):
        restored(path, path)

    assert files_in(path.parent) == before


WRONG = {
    "missing": "no such file",
    "text": "not a database",
    "another program's": "no gateway's database",
    "a damaged index": "damaged",
    "cut short": "malformed|damaged",
    "of a newer program": "newer version of the gateway",
}


def make_wrong(copy: Path, how: str) -> None:
    """As `how` says."""
    match how:
        case "missing":
            copy.unlink()
        case "text":
            copy.write_text("no database\n" * 100)
        case "another program's":
            copy.unlink()
            change(copy, "CREATE TABLE song (title)")
        case "a damaged index":
            overwrite_page(copy, "event_of_job")
        case "cut short":
            copy.write_bytes(copy.read_bytes()[:-8192])
        case _:
            change(copy, "UPDATE alembic_version SET version_num = 'from-the-future'")


def test_a_database_in_use_is_neither_replaced_nor_migrated(path: Path, copy: Path) -> None:
    """Whoever writes into it would write into what was moved aside."""
    written(path, 1)
    backed_up(path, copy)
    in_use = r"Another gateway has the database .* open"
    with alone(url_of(path)):
        migrate(url_of(path))  # nothing has to be done
        with pytest.raises(StoreAway, match=in_use):
            restored(path, copy)
        with pytest.raises(StoreAway, match=in_use):
            written(path, 2)
        change(path, "UPDATE alembic_version SET version_num = '0005'")
        with pytest.raises(StoreAway, match=in_use):
            migrate(url_of(path))

    assert list(files_in(path.parent)) == [path.name]


@pytest.mark.parametrize("broken_off_at", range(RENAMES))
def test_a_restore_that_is_broken_off_is_brought_to_its_end_by_the_next_start(
    path: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_off_at: int
) -> None:
    """A power cut between two files must leave neither an empty history nor an old journal beside the new database."""
    written(path, 1)
    backed_up(path, copy)
    left = tmp_path / "left" / path.name
    killed_after(path, left.parent, 2)

    with monkeypatch.context() as power:
        cut_after(broken_off_at, power)
        with pytest.raises(PowerCut):
            restored(left, copy)
    new = written(left, 3)

    data = [row[0] for row in rows_in(left, "SELECT data FROM event ORDER BY id")]
    if broken_off_at == 0:
        assert (data, new) == (["1", "2", "3"], [3])
    else:
        assert (data, new) == (["1", "3"], [2 + LEFT_OUT + 1])
        aside = left.with_name("gateway.db.replaced-20260301T120000.123456Z")
        assert rows_in(aside, "SELECT data FROM event ORDER BY id") == [("1",), ("2",)]


class PowerCut(BaseException):
    """Nothing is done after it."""


def cut_after(renames: int, power: pytest.MonkeyPatch) -> None:
    """So many files are renamed still."""
    rename = Path.rename
    done: list[Path] = []

    def until_the_cut(self: Path, target: Path) -> Path:
        if len(done) == renames:
            raise PowerCut
        done.append(target)
        return rename(self, target)

    power.setattr(Path, "rename", until_the_cut)
