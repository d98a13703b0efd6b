"""The first start of a network: ports, tokens and keys; later starts find them again.

`network.json` is for the network's users (addresses and their tokens); each part gets a `config.json` in its own folder.
"""

import fcntl
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from network import passes, ports, users
from network.settings import TEAMS, AccessPointSettings, KnownAccessPoint, RouterSettings, reachable, write_secret
from network.token_files import TokenFile
from network.users import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the operator asked for; `port` is the Router's, the Access Points take the next ones."""

    host: str = "127.0.0.1"
    port: int | None = None
    public_url: str | None = None
    slots: int = 2
    token_files: tuple[TokenFile, ...] = ()


def provision(data_dir: Path, wishes: Wishes) -> Path:
    """Make the folders and files that are missing; answers where `network.json` is."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(data_dir / ".provision.lock"):
        return _provision(data_dir, wishes)


def _provision(data_dir: Path, wishes: Wishes) -> Path:
    listed = data_dir / "network.json"
    everybody = users.accounts(_read(listed))
    chosen = _ports(data_dir, wishes)
    own = {team: _own_secrets(data_dir / team) for team in TEAMS}
    write_secret(_folder(data_dir / "router") / "config.json", _router(wishes, chosen, everybody, own).model_dump())
    for team in TEAMS:
        write_secret(_folder(data_dir / team) / "config.json", _access_point(team, wishes, chosen, own).model_dump())
    write_secret(listed, _listing(wishes, chosen, everybody))
    for file in wishes.token_files:
        file.write(users.owners(everybody)[file.team])
    return listed


def _ports(data_dir: Path, wishes: Wishes) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for offset, part in enumerate(("router", *TEAMS)):
        kept = _read(data_dir / part / "config.json").get("port")
        wanted = kept if wishes.port is None else wishes.port + offset
        chosen[part] = ports.keep_or_choose(wishes.host, known=wanted, taken=set(chosen.values()))
    return chosen


def _own_secrets(folder: Path) -> dict[str, str]:
    kept = _read(folder / "config.json")
    return {name: kept.get(name) or secrets.token_urlsafe(32) for name in ("router_token", "pass_key")}


def _router(
    wishes: Wishes, chosen: dict[str, int], everybody: tuple[Account, ...], own: dict[str, dict[str, str]]
) -> RouterSettings:
    known = [
        KnownAccessPoint(
            team=team,
            url=reachable(wishes.host, chosen[team]),
            public_url=_public_url(wishes, chosen[team]),
            token_sha256=passes.fingerprint(own[team]["router_token"]),
            pass_key=own[team]["pass_key"],
        )
        for team in TEAMS
    ]
    return RouterSettings(
        host=wishes.host,
        port=chosen["router"],
        slots=wishes.slots,
        users=tuple(account.known for account in everybody),
        access_points=tuple(known),
    )


def _access_point(
    team: str, wishes: Wishes, chosen: dict[str, int], own: dict[str, dict[str, str]]
) -> AccessPointSettings:
    return AccessPointSettings(
        team=team, host=wishes.host, port=chosen[team], router_url=reachable(wishes.host, chosen["router"]), **own[team]
    )


def _listing(wishes: Wishes, chosen: dict[str, int], everybody: tuple[Account, ...]) -> dict[str, object]:
    return {
        "router_url": _public_url(wishes, chosen["router"]),
        "access_points": [{"team": team, "url": _public_url(wishes, chosen[team])} for team in TEAMS],
        "tokens": users.owners(everybody),
        "users": [asdict(account) for account in everybody],
    }


def _public_url(wishes: Wishes, port: int) -> str:
    if wishes.public_url is None:
        return reachable(wishes.host, port)
    base = urlsplit(wishes.public_url)
    return f"{base.scheme}://{base.hostname}:{port}"


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True, mode=0o700)
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return content


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
