"""The database's schema, through migrations alone."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from app.domain.errors import StoreAway

_MIGRATIONS = Path(__file__).parent.parent.parent / "migrations"


def migrate(url: str) -> None:
    """Bring the schema to the newest version. Raises StoreAway when it cannot be opened or is of a newer program."""
    try:
        if database := make_url(url).database:
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        command.upgrade(migrations(url), "head")
    except CommandError as error:
        raise StoreAway(
            "The database was written by a newer version of the gateway. Start that version, or point "
            f"GATEWAY_DATABASE_URL at another file. ({error})"
        ) from error
    except (OSError, SQLAlchemyError) as error:
        raise StoreAway(f"The database {url} cannot be opened: {error}") from error


def migrations(url: str) -> Config:
    """Alembic's configuration for this database."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = url
    return config
