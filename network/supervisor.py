"""The whole network from one command: its parts as children, `network.json` for its users, one line when all answer."""

import asyncio
import fcntl
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from network import logs, stopping
from network.child import Child
from network.provision import Wishes, provision
from network.settings import TEAMS, write_secret


class AlreadyRunning(Exception):
    """Another supervisor holds this data folder."""


async def supervise(data_dir: Path, wishes: Wishes, *, with_stdin: bool) -> None:
    """Run all parts until a signal or, if asked, the end of standard input."""
    with _alone(data_dir):
        stop = stopping.stop_event(with_stdin=with_stdin)
        listing = provision(data_dir, wishes)
        logs.log_to(data_dir / "supervisor.log")
        children = _children(data_dir, listing)
        async with asyncio.TaskGroup() as tasks:
            lives = [tasks.create_task(child.keep_alive()) for child in children]
            lives.append(tasks.create_task(_announce(children, listing)))
            await stop.wait()
            for life in lives:
                life.cancel()


def _children(data_dir: Path, listing: Path) -> list[Child]:
    children: list[Child] = []

    def changed() -> None:
        _note_pids(listing, children)

    def add(name: str, module: str, log_name: str) -> None:
        folder = data_dir / name
        arguments = (module, str(folder))
        children.append(Child(name, arguments=arguments, log_path=folder / log_name, changed=changed))

    add("router", "network.router", "router.log")
    for team in TEAMS:
        add(team, "network.access_point", "access-point.log")
    return children


async def _announce(children: list[Child], listing: Path) -> None:
    for child in children:
        await child.ready.wait()
    sys.stdout.write(f"ready {listing}\n")
    sys.stdout.flush()


def _note_pids(listing: Path, children: list[Child]) -> None:
    pids = {child.name: child.pid for child in children if child.pid is not None}
    write_secret(listing, json.loads(listing.read_text()) | {"pids": pids})


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data_dir / ".supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"a network runs in {data_dir} already") from None
        yield
