"""The command line: serve · demo · migrate · backup · restore · prune · key."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import uvloop
from pydantic import ValidationError

from app.demo import DemoFailed, run_demo
from app.domain.errors import GatewayError
from app.keys import commands as key_commands
from app.logs import log_to_stderr
from app.pruning import prune_history
from app.serving import NotServing, server_of
from app.settings import Settings
from app.store.backup import Copied, back_up
from app.store.backup import restore as restore_database
from app.store.schema import migrate as migrate_database
from app.store.stopping import Stop, stoppable

T = TypeVar("T")

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
cli.add_typer(key_commands, name="key")


@cli.callback()
def gateway() -> None:
    """REST and Server-Sent Events in front of a Router, with one job history for an organisation."""


@cli.command()
def serve() -> None:
    """Serve the gateway, as the GATEWAY_ settings say."""
    settings = Settings()
    log_to_stderr(settings.log_level)
    server = server_of(settings, started=lambda url: typer.echo(f"Serving on {url}"))
    uvloop.run(server.serve())


@cli.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Run the job and exit: 0 only if it was right.")] = False,
) -> None:
    """Start everything embedded, train a model over two owners' data, show it, and go on serving."""
    raise typer.Exit(uvloop.run(run_demo(Settings(), once=once)))


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = Settings()
    migrate_database(settings.database)
    typer.echo(f"The database is up to date: {settings.database}")


@cli.command()
def prune(
    days: Annotated[int | None, typer.Option("--days", min=1, max=36_500, help="Instead of GATEWAY_KEEP_DAYS.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove the jobs that have been over for longer than GATEWAY_KEEP_DAYS, also beside a gateway that runs."""
    settings = Settings()
    keep_days = days or settings.keep_days
    if keep_days is None:
        raise typer.BadParameter("say how many days a job is kept, or set GATEWAY_KEEP_DAYS", param_hint="--days")
    asyncio.run(prune_history(settings.database, keep=timedelta(days=keep_days), dry_run=dry_run))


@cli.command()
def backup(file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not be there yet.")]) -> None:
    """Copy the database to FILE, also while a gateway runs on it."""
    url = Settings().database
    made = _stoppable(lambda stop: back_up(url, file, stop=stop))
    typer.echo(f"{file} holds {_told(made)}.")


@cli.command()
def restore(file: Annotated[Path, typer.Argument(metavar="FILE", help="What `gateway backup` made.")]) -> None:
    """Put a backup in the database's place; what was there is moved aside. The gateway must not run."""
    url = Settings().database
    done = _stoppable(lambda stop: restore_database(url, file, now=datetime.now(UTC), stop=stop))
    typer.echo(f"The database holds {_told(done.copied)} now; new events are numbered above {done.after}.")
    if done.aside is not None:
        typer.echo(f"What was there before is {done.aside}.")
    if not done.known:
        typer.echo(
            "The numbers that were given since the backup could not be read. If they may have been more than a million, "
            "restore the same file again: each time a million more is left out.",
            err=True,
        )


def _told(copied: Copied) -> str:
    what = f"{copied.size} bytes, {copied.jobs} jobs and {copied.events} events"
    return f"{what}, the log up to number {copied.newest}"


def _stoppable(work: Callable[[Stop], T]) -> T:
    """SIGTERM leaves no half file either."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return stoppable(work)


def main() -> None:
    """The program `gateway`."""
    os.umask(0o077)  # what a history holds is for its owner's eyes
    log_to_stderr("warning")
    try:
        cli()
    except KeyboardInterrupt:
        sys.exit(130)
    except ValidationError as error:
        _tell_settings(error)
        sys.exit(2)
    except (GatewayError, NotServing, DemoFailed) as error:
        typer.echo(f"gateway: {error}", err=True)
        sys.exit(1)


def _tell_settings(error: ValidationError) -> None:
    for one in error.errors():
        where = ".".join(f"GATEWAY_{part}".upper() for part in one["loc"])
        what = Settings.model_fields[str(one["loc"][0])].description if one["loc"] else None
        told = f"{where} ({what}): {one['msg']}" if what else one["msg"].removeprefix("Value error, ")
        typer.echo(f"gateway: {told}", err=True)


if __name__ == "__main__":
    main()
