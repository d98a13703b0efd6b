"""A gateway that asks for keys, people who have one, and keys that are good for nothing."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from app.domain.access import Role
from app.domain.keys import Key, new_key
from app.store.memory import open_keys
from tests.support.gateway import WITHIN_S, Gateway, environment, router_settings, served
from tests.support.network import RunningNetwork

# Who comes in tests: each by a name, with a role. Sam creates the jobs, tom is another who could.
PEOPLE = {
    "vera": Role.VIEWER,
    "sam": Role.SUBMITTER,
    "tom": Role.SUBMITTER,
    "ada": Role.APPROVER,
    "root": Role.ADMIN,
}
KEYED = {"GATEWAY_AUTH": "key", "GATEWAY_REFUSAL_PAUSE_S": "0.01"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A gateway in key mode. `keys` are people's; `refused` are headers that let nobody in, each by what is wrong."""

    gateway: Gateway
    keys: dict[str, str]
    refused: dict[str, str]

    def client(self, who: str) -> httpx.AsyncClient:
        """For this person."""
        return with_key(self.gateway, self.keys[who])


@contextmanager
def guarded_gateway(data_dir: Path, network: RunningNetwork, **settings: str) -> Iterator[Guarded]:
    """For as long as the block lasts."""
    with served(data_dir, **{**KEYED, **router_settings(network), **settings}) as gateway:
        with ThreadPoolExecutor(1) as apart:  # an event loop of its own, for the tests' loops come and go
            keys, refused = apart.submit(asyncio.run, _handed_out(data_dir)).result()
        yield Guarded(gateway=gateway, keys=keys, refused=refused)


def with_key(gateway: Gateway, text: str) -> httpx.AsyncClient:
    """For whoever has this key."""
    client = gateway.client()
    client.headers["Authorization"] = f"Bearer {text}"
    return client


async def made_key(
    data_dir: Path, user: str, role: Role = Role.VIEWER, *, expires_in: timedelta | None = None
) -> tuple[Key, str]:
    """A new key and its text, made beside the gateway as its command line does, but with any expiry."""
    now = datetime.now(UTC)
    key, text = new_key(user, role, now=now, expires=None if expires_in is None else now + expires_in)
    async with open_keys(database_in(data_dir), now=lambda: now) as keys:
        await keys.keep(key)
    return key, text


async def revoked_key(data_dir: Path, key: Key) -> None:
    """From now on it opens nothing."""
    async with open_keys(database_in(data_dir), now=lambda: datetime.now(UTC)) as keys:
        assert await keys.revoke(key.id)


def database_in(data_dir: Path) -> str:
    """The address of the gateway's database."""
    return f"sqlite:///{data_dir / 'gateway.db'}"


async def key_command(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`gateway key …` as a process of its own."""
    command = [sys.executable, "-m", "app", "key", *arguments]
    return await asyncio.to_thread(
        subprocess.run,
        command,
        env=environment(data_dir),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


async def _handed_out(data_dir: Path) -> tuple[dict[str, str], dict[str, str]]:
    keys = {who: (await made_key(data_dir, who, role))[1] for who, role in PEOPLE.items()}
    revoked, revoked_text = await made_key(data_dir, "rita", Role.ADMIN)
    await revoked_key(data_dir, revoked)
    expired_text = (await made_key(data_dir, "eve", Role.ADMIN, expires_in=timedelta(0)))[1]
    refused = {
        "expired": f"Bearer {expired_text}",
        "revoked": f"Bearer {revoked_text}",
        "wrong secret": f"Bearer {keys['root'][:-1]}{'B' if keys['root'].endswith('A') else 'A'}",
        "unknown": f"Bearer {new_key('nobody', Role.ADMIN, now=datetime.now(UTC), expires=None)[1]}",
        "malformed": "Bearer tbg_",
        "of another scheme": f"Basic {keys['root']}",
        "without a scheme": keys["root"],
        "twice": f"Bearer {keys['root']} {keys['root']}",
    }
    return keys, refused
