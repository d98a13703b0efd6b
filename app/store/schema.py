"""The database's schema, through migrations alone."""

from contextlib import closing
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.domain.errors import StoreAway
from app.store.condition import damaged, is_damage
from app.store.lock import alone, file_of
from app.store.looking import look_over, opened, version_in
from app.store.replacing import finish, is_replaced

_MIGRATIONS = Path(__file__).parent.parent.parent / "migrations"


def migrate(url: str) -> None:
    """Bring the schema to the newest version, if nobody else has the database open.

    Raises StoreAway when it cannot be opened, is of a newer program, or is in use and has to change.
    """
    if _has_to_change(url):
        with alone(url):
            migrate_alone(url)


def migrate_alone(url: str) -> None:
    """The same for whoever is alone with it. A restore that was broken off is brought to its end first."""
    path = file_of(url)
    finish(path)
    if not _has_to_change(url):
        return
    try:
        command.upgrade(migrations(url), "head")
    except (OSError, SQLAlchemyError) as error:
        raise not_opened(path, error) from error


def not_opened(path: Path, error: Exception) -> StoreAway:
    """What it means that it could not be opened."""
    if is_damage(error):
        return StoreAway(damaged(path, error))
    return StoreAway(f"The database {path} cannot be opened: {error.orig if isinstance(error, DBAPIError) else error}")


def migrations(url: str) -> Config:
    """Alembic's configuration for this database."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def is_newest(path: Path, version: str | None) -> bool:
    """Whether there is nothing to migrate. Raises StoreAway for the version of a newer program."""
    if version is None or version == _scripts().get_current_head():
        return version is not None
    try:
        _scripts().get_revision(version)
    except CommandError as error:
        raise StoreAway(
            f"The database {path} was written by a newer version of the gateway. Start that version, or point "
            f"GATEWAY_DATABASE_URL at another file. ({error})"
        ) from error
    return False


def _has_to_change(url: str) -> bool:
    path = file_of(url)
    if is_replaced(path) or not path.exists():
        return True
    look_over(path)
    with closing(opened(path, mode="rw")) as database:
        return not is_newest(path, version_in(database))


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(migrations(""))
