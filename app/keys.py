"""`gateway key`: create · list · revoke. Works beside a gateway that runs, on the same database."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.domain.access import Role
from app.domain.keys import Key, new_key
from app.settings import Settings
from app.store.memory import open_keys

commands = typer.Typer(no_args_is_help=True, help="API keys, for GATEWAY_AUTH=key.")

_DAYS = 180
_Days = Annotated[int, typer.Option("--days", min=1, max=3650, help="How long it is good for.")]
_Forever = Annotated[bool, typer.Option("--forever", help="It does not expire.")]


@commands.command("create")
def create(
    user: Annotated[str, typer.Argument(help="Whose it is: the name that actions and jobs are kept under.")],
    role: Annotated[Role, typer.Option("--role", help="What it allows.")],
    days: _Days = _DAYS,
    forever: _Forever = False,
) -> None:
    """Make a key and print it, alone on standard output. It is shown this once."""
    user = user.strip()
    if not user or not user.isprintable() or len(user) > 100:
        raise typer.BadParameter("1 to 100 characters, one of which can be seen", param_hint="USER")
    expires = None if forever else _now() + timedelta(days=days)
    key, text = new_key(user, role, now=_now(), expires=expires)
    database = Settings().database
    asyncio.run(_kept(key, database))
    until = "it does not expire" if expires is None else f"it expires {expires:%Y-%m-%d}"
    typer.echo(f"Key {key.id} for {user}, {role}, in {database}; {until}. It is shown this once:", err=True)
    typer.echo(text)


@commands.command("list")
def list_keys() -> None:
    """Every key that was ever made, oldest first; not what opens anything."""
    typer.echo(f"{'ID':12}  {'ROLE':9}  {'STATE':8}  {'CREATED':10}  {'EXPIRES':10}  {'LAST USED':16}  USER")
    now = _now()
    for key in asyncio.run(_all(Settings().database)):
        days = f"{_day(key.created)}  {_day(key.expires)}"
        used = f"{key.used:%Y-%m-%d %H:%M}" if key.used else "never"
        typer.echo(f"{key.id:12}  {key.role:9}  {_state(key, now=now):8}  {days}  {used:16}  {key.user}")


@commands.command("revoke")
def revoke(
    key_ids: Annotated[list[str], typer.Argument(metavar="KEY_ID...", help="As `gateway key list` shows them.")],
) -> None:
    """From now on they open nothing; streams that they opened end within seconds."""
    database = Settings().database
    unknown = [key_id for key_id in key_ids if not asyncio.run(_revoked(key_id, database))]
    for key_id in key_ids:
        if key_id not in unknown:
            typer.echo(f"Key {key_id} is revoked.")
    if unknown:
        typer.echo(f"gateway: no such key in {database}: {', '.join(unknown)}. `gateway key list` shows all.", err=True)
        raise typer.Exit(1)


async def _kept(key: Key, database: str) -> None:
    async with open_keys(database, now=_now) as keys:
        await keys.keep(key)


async def _all(database: str) -> list[Key]:
    async with open_keys(database, now=_now) as keys:
        return list(await keys.all())


async def _revoked(key_id: str, database: str) -> bool:
    async with open_keys(database, now=_now) as keys:
        return await keys.revoke(key_id)


def _state(key: Key, *, now: datetime) -> str:
    if key.revoked is not None:
        return "revoked"
    return "valid" if key.is_valid(now=now) else "expired"


def _day(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d}" if when else "never     "


def _now() -> datetime:
    return datetime.now(UTC)
