"""Puts a database in another's place, so that whenever it is broken off the next start can bring it to its end.

The new one lies beside the old one, whole and under a name of its own; that name is the note of what is still to be done.
What was there is moved aside file by file, under the time in that name, and the new one is moved in last.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

from app.store.condition import files_of

_NEXT, _REPLACED = ".restoring-", ".replaced-"


def note(copy: Path, *, path: Path, now: datetime) -> Path:
    """From now on the copy, which is whole, is to take this place; where `finish` puts what is there."""
    while (aside := path.with_name(f"{path.name}{_REPLACED}{_stamp(now)}")).exists():
        now += timedelta(microseconds=1)
    to_disk(copy)
    copy.rename(path.with_name(f"{path.name}{_NEXT}{_stamp(now)}"))
    to_disk(path.parent)
    return aside


def is_replaced(path: Path) -> bool:
    """Whether something is still to be done."""
    return bool(_noted(path))


def finish(path: Path) -> None:
    """Do what is still to be done: it may have been begun. Whoever calls is alone with the database."""
    for copy in _noted(path):
        stamp = copy.name.removeprefix(f"{path.name}{_NEXT}")
        aside = path.with_name(f"{path.name}{_REPLACED}{stamp}")
        for was, is_ in zip(files_of(path), files_of(aside), strict=True):
            if was.exists():
                was.rename(is_)
        to_disk(path.parent)
        copy.rename(path)
        to_disk(path.parent)


def replaced(path: Path) -> list[Path]:
    """The databases that were in this place before."""
    return [one for one in _beside(path, _REPLACED) if not one.name.endswith(("-wal", "-shm"))]


def to_disk(path: Path) -> None:
    """What is in this file, or in this folder, survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _stamp(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S.%fZ}"


def _noted(path: Path) -> list[Path]:
    return _beside(path, _NEXT)


def _beside(path: Path, mark: str) -> list[Path]:
    prefix = path.name + mark
    return sorted(one for one in path.parent.glob("*") if one.name.startswith(prefix)) if path.parent.exists() else []
