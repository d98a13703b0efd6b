"""One gateway for a file: the operating system's lock, which ends with whoever holds it, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from app.domain.errors import StoreAway


def file_of(url: str) -> Path:
    """The database file at this address; the same for every name of it that is a symbolic link."""
    return Path(make_url(url).database or "").resolve()


def address_of(file: Path) -> str:
    """Where it is opened, whatever signs are in its name."""
    return URL.create("sqlite", database=str(file)).render_as_string()


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Nobody else is alone with this database while the block lasts. Raises StoreAway when somebody is.

    The lock stands in a file beside it, which stays: to remove it would let two be alone.
    """
    path = file_of(url)
    lock = _opened(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreAway(
            f"Another gateway has the database {path} open. Stop that one first, or give this one another database with "
            "GATEWAY_DATA_DIR or GATEWAY_DATABASE_URL."
        ) from None
    try:
        yield
    finally:
        os.close(lock)


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreAway(
            f"The database {path} cannot be opened: its folder must be there and writable for this user "
            f"({error.strerror})."
        ) from error
