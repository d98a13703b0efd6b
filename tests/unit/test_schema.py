"""The schema comes from migrations alone, and a value comes back from its row as it was."""

from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlmodel import SQLModel

from app.domain.access import Role
from app.domain.actions import Verb
from app.domain.errors import StoreAway
from app.domain.events import Kind, Source, Told
from app.domain.jobs import Job, Owner, Permission, Result
from app.domain.phases import Phase
from app.domain.ports import JobFilter
from app.domain.shown import SHAPE, Shown, job_of, lines
from app.domain.why import Why, message
from app.store.database import open_database
from app.store.history import open_history
from app.store.numbers import KINDS, PHASES, ROLES, SOURCES, VERBS, from_us, to_us
from app.store.rows import kept_job, state_values
from app.store.schema import migrate, migrations
from tests.support.news import NOON, full_job, job_in
from tests.support.pages import jobs_in


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'a folder' / 'gateway.db'}"


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(sa.make_url(url).set(drivername="sqlite"))


def migrated_to(url: str, version: str) -> sa.Engine:
    engine = engine_of(url)
    assert engine.url.database is not None
    Path(engine.url.database).parent.mkdir(parents=True)
    command.upgrade(migrations(url), version)
    return engine


def tables_in(url: str) -> set[str]:
    engine = engine_of(url)
    try:
        return set(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_the_models_are_what_the_migrations_make(url: str) -> None:
    """A column was added to one of the two and forgotten in the other."""
    migrate(url)

    engine = engine_of(url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    engine.dispose()

    # Those of words are no tables of rows: only a migration can make them.
    assert [one for one in differences if not is_of_words(one)] == []


def test_the_schema_goes_up_down_and_up_again(url: str) -> None:
    """A step that cannot be taken back is a trap."""
    migrate(url)
    command.downgrade(migrations(url), "base")
    assert tables_in(url) == {"alembic_version"}

    migrate(url)

    ours = {
        "job",
        "job_state",
        "job_label",
        "job_count",
        "stay",
        "pruned",
        "log_gap",
        "event",
        "position",
        "action",
        "attempt",
        "api_key",
        "stream_pass",
    }
    tables = {name for name in tables_in(url) if not name.startswith(("job_words", "job_trigrams"))}
    assert tables == {"alembic_version", *ours}


def is_of_words(difference: Any) -> bool:
    """Whether it tells of a table of FTS5."""
    name = str(getattr(difference[1], "name", ""))
    return difference[0] == "remove_table" and name.startswith(("job_words", "job_trigrams"))


async def test_labels_of_jobs_that_were_there_before_are_found(url: str) -> None:
    """More jobs than are taken at a time, and names of labels that a database may spell in its own way."""
    odd = {'a"b': "x\\y", "é": "1", "": "", "a": "1", "a\0b": "2\0", "a.b[0]": "[1]", "n": "null"}
    jobs = [replace(full_job(), id=UUID(int=n), labels={"n": str(n)} if n else odd) for n in range(1_001)]
    jobs[1] = replace(jobs[1], labels={})
    engine = migrated_to(url, "0002")
    with engine.begin() as connection:
        table = sa.Table("job", sa.MetaData(), autoload_with=connection)
        connection.execute(sa.insert(table), [older_values(job) for job in jobs])
    engine.dispose()

    async with open_database(url) as migrated, open_history(migrated, tell=lambda _: None, now=lambda: NOON) as history:
        for wanted in (*odd.items(), *((name, None) for name in odd if name != "n"), ("n", "null")):
            page = await history.page(JobFilter(labels=(wanted,)), limit=2, cursor=None)
            assert [job.id for job in jobs_in(page)] == [jobs[0].id], wanted
        for n in (2, 500, 1_000):
            page = await history.page(JobFilter(labels=(("n", str(n)),)), limit=2, cursor=None)
            assert [job.id for job in jobs_in(page)] == [jobs[n].id]
        assert (await history.page(JobFilter(labels=(("n", "1"),)), limit=2, cursor=None)).items == ()


def test_migrating_again_changes_nothing(url: str) -> None:
    """Every start migrates."""
    migrate(url)

    migrate(url)

    assert "event" in tables_in(url)


@pytest.mark.parametrize("version", ["0001", "0002", "0003", "0004", "0005"])
def test_a_migration_that_breaks_off_changes_nothing_and_can_be_made_again(url: str, version: str) -> None:
    """The disk was full, and after an hour there is room: the history must not be stuck between two versions."""
    engine = migrated_to(url, version)
    with engine.begin() as connection:
        # In the way of the last step, once that has made tables.
        connection.execute(sa.text("CREATE TABLE job_words (a)"))
    before = tables_in(url)

    with pytest.raises(StoreAway, match="cannot be opened"):
        migrate(url)
    left = tables_in(url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE job_words"))
    migrate(url)
    engine.dispose()

    assert left == before
    assert "log_gap" in tables_in(url)


def test_a_newer_database_is_refused_with_what_to_do(url: str) -> None:
    """An older program would write into a schema it does not understand."""
    migrate(url)
    engine = engine_of(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    with pytest.raises(StoreAway, match=r"newer version of the gateway.*GATEWAY_DATABASE_URL"):
        migrate(url)


def test_every_field_of_a_full_job_is_filled() -> None:
    """The round trip below is worth nothing where a field has its default."""
    job = whole_job()
    empty = job_in(Phase.CREATED)

    left_out = {name for name in Job.__struct_fields__ if getattr(job, name) == getattr(empty, name)}

    assert left_out == {"id", "job_name", "operation", "params", "labels", "owner", "created", "router", "streamed"}


def test_a_job_comes_back_from_its_row_as_it_was() -> None:
    """What was known before a restart is known after it."""
    job = whole_job()

    values = state_values(job, key=1)

    assert kept_job(str(values["shown"]), str(values["unseen"]), SHAPE) == job


@given(st.integers(-(2**50), 2**52))
def test_a_moment_survives_its_column(us: int) -> None:
    """Microseconds, exactly: floating point would lose some."""
    assert to_us(from_us(us)) == us
    assert to_us(NOON) % 1_000_000 == 123_456


@pytest.mark.parametrize(
    ("words", "numbers"),
    [(Phase, PHASES), (Kind, KINDS), (Source, SOURCES), (Verb, VERBS), (Role, ROLES)],
)
def test_every_word_has_a_number_of_its_own(
    words: type[Phase | Kind | Source | Verb | Role], numbers: dict[str, int]
) -> None:
    """A word without one could not be written down."""
    assert set(numbers) == set(words)
    assert len(set(numbers.values())) == len(numbers)


def test_numbers_of_roles_and_verbs_stay_as_they_are() -> None:
    """A key on disk that was a viewer's yesterday must not be an administrator's today."""
    assert {role.value: number for role, number in ROLES.items()} == {
        "viewer": 1,
        "submitter": 2,
        "approver": 3,
        "admin": 4,
    }
    assert {verb.value: number for verb, number in VERBS.items()} == {
        "create": 1,
        "submit": 2,
        "cancel": 3,
        "kill": 4,
        "accept": 5,
        "deny": 6,
        "upload": 7,
        "agree": 8,
        "end_agreement": 9,
    }


def older_values(job: Job) -> dict[str, object]:
    """A job's row as it was before states stood apart."""
    return {
        "job_id": str(job.id),
        "job_name": job.job_name,
        "operation": job.operation,
        "owner": job.owner.user,
        "phase": PHASES[job.phase],
        "created_us": to_us(job.created),
        "state": msgspec.json.encode(job).decode(),
    }


def whole_job() -> Job:
    return replace(full_job(), created_by="sam")


def test_another_way_of_showing_takes_another_number() -> None:
    """Lines are kept as they were shown: where the number stays, lists would mix the two."""
    fields = {one.name: str(one.type) for one in msgspec.structs.fields(Shown)}
    nested = [msgspec.structs.fields(kind) for kind in (Owner, Permission, Why, Result)]
    of_nested = sorted({one.name for fields_of_one in nested for one in fields_of_one})

    assert (SHAPE, list(fields), of_nested) == (
        1,
        [
            *("id", "job_name", "operation", "dataset", "preprocessor", "params", "labels", "stream_to", "owner"),
            *("created_by", "created", "submitted", "started", "finished", "phase", "market_status", "waiting_on"),
            *("model_status", "error", "error_code", "result", "status", "why", "message"),
        ],
        [
            *("answers", "asset", "asset_id", "error", "error_code", "kind", "places", "raw_status", "reason", "since"),
            *("team", "user", "waiting_on"),
        ],
    )


@given(st.sampled_from(list(Phase)), st.text(max_size=20), st.dictionaries(st.text(max_size=8), st.text(max_size=8)))
def test_a_line_and_the_rest_are_the_whole_job(phase: Phase, reason: str, labels: dict[str, str]) -> None:
    """Whatever words it holds: also those between which it is parted."""
    params = msgspec.Raw(msgspec.json.encode({"a": 1, "queue": [{"queue": reason}]}))
    told = f',"queue":{reason}'
    job = replace(whole_job(), phase=phase, reason=told, error=told, params=params, labels={**labels, ',"queue":': "x"})

    line, rest = lines(job)

    assert job_of(line.decode(), rest.decode()) == job
    shown = msgspec.json.decode(line, type=Shown)
    assert (shown.phase, shown.status, shown.message) == (phase, job.status, message(job))
    assert msgspec.json.decode(line).keys() == set(Shown.__struct_fields__)


async def test_a_line_of_an_older_program_is_shown_as_a_new_one(url: str) -> None:
    """No migration has to write a million of them anew."""
    async with open_database(url) as database, open_history(database, tell=lambda _: None, now=lambda: NOON) as history:
        await history.keep(Told(job=whole_job()))
        new = await history.page(JobFilter(), limit=1, cursor=None)
        engine = engine_of(url)
        with engine.begin() as connection:
            older = msgspec.json.encode(whole_job()).decode()
            connection.execute(sa.text("UPDATE job_state SET shown = :line, unseen = '{}', shape = 0"), {"line": older})
        engine.dispose()
        old = await history.page(JobFilter(), limit=1, cursor=None)
        (found,) = await history.found(JobFilter(), limit=1)

    assert (old.items, old.digest) == (new.items, new.digest)
    assert found == whole_job()


def test_events_of_jobs_that_are_being_removed_do_not_stop_a_migration(url: str) -> None:
    """Down in the middle of it, and up again."""
    migrate(url)
    engine = engine_of(url)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO pruned VALUES ('a job', 1, 77)"))
        connection.execute(sa.text("INSERT INTO event VALUES (1, 77, 1, 1, NULL, NULL, 1, 1, 0, '{}')"))
    engine.dispose()

    command.downgrade(migrations(url), "0005")
    migrate(url)

    assert "pruned" in tables_in(url)
