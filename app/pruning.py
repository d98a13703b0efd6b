"""`gateway prune`: removes what is too old to be kept. Works beside a gateway that runs, on the same database."""

from datetime import UTC, datetime, timedelta

import typer

from app.services.prune import Pruner
from app.store.memory import open_retention


async def prune_history(database: str, *, keep: timedelta, dry_run: bool) -> None:
    """Say what is too old, and remove it unless it is a `dry_run`."""
    async with open_retention(database, now=_now) as retention:
        before = _now() - keep
        found = await retention.removable(before)
        since = f"that were over before {before:%Y-%m-%d %H:%M} UTC, from {database}"
        if dry_run:
            typer.echo(f"Would remove {found.jobs} jobs and {found.events} events {since}.")
            return
        removed = await Pruner(retention, keep=keep, now=_now).prune()
        typer.echo(f"Removed {removed} jobs {since}.")


def _now() -> datetime:
    return datetime.now(UTC)
