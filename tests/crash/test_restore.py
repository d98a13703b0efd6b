"""A backup beside a gateway at work, and what it is worth after the disaster: through the commands and over HTTP."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.commands import WITH_SMALL_FILES, gateway, run_gateway
from tests.support.databases import rows_in
from tests.support.events import Event, joined, numbered, sse
from tests.support.gateway import WITHIN_S, Gateway, Listener, environment, served
from tests.support.keys import KEYED, key_command, made_key, with_key
from tests.support.scripted import TOKEN, ScriptedNetwork

_LOOK_AGAIN_S = 0.01


async def test_after_a_restore_nothing_of_the_backup_is_missing_and_no_number_means_two_things(
    network: ScriptedNetwork, tmp_path: Path
) -> None:
    """Backed up under load, gone on, lost, put back: and what only the Router knows comes back from there."""
    data_dir, copy, late_job = tmp_path / "data", tmp_path / "copy.db", str(uuid4())
    with served(data_dir, GATEWAY_ROUTER_URL=network.url, GATEWAY_ROUTER_TOKEN=TOKEN, **KEYED) as own:
        _, text = await made_key(data_dir, "vera")
        await network.router_says("running")
        path = f"/v1/jobs/{network.job_id}/events"
        async with talking(network):
            await heard_until(own, text, path, n=20)
            made = await gateway("backup", copy, data_dir=data_dir)
            shown = await heard_until(own, text, path, n=60)
        await network.router_says("running", job_id=late_job)
        async with with_key(own, text) as client:
            await Listener(own, client).until_phase(late_job, "in_progress")
            as_of = (await client.get("/v1/jobs")).json()["as_of"]
        own.kill9()

        done = await gateway("restore", copy, data_dir=data_dir)
        await asyncio.to_thread(own.start)

        await network.stream_says(b'{"n":"after"}')
        await network.stream_ends("complete")
        await network.router_says("complete", finished="2026-03-01T09:31:00.000000Z", result={"asset_id": None})
        async with with_key(own, text) as client:
            listener = Listener(own, client)
            whole = numbered(sse(await listener.bytes_of(path)))
            late = await listener.until_phase(late_job, "in_progress")

    in_copy = [number for (number,) in rows_in(copy, "SELECT id FROM event ORDER BY id")]
    back = [event for event in whole if event.id <= in_copy[-1]]
    assert (made.returncode, done.returncode) == (0, 0), made.stderr + done.stderr
    assert f"{len(in_copy)} events, the log up to number {in_copy[-1]}" in made.stdout
    assert [event.id for event in back] == in_copy
    assert joined(back) == joined(shown[: len(back)])
    assert min(late.id, *(event.id for event in whole[len(back) :])) > max(as_of, shown[-1].id) + 999_999
    said = [event.json["n"] for event in whole if event.name == "message"]
    assert said == [*range(len(said) - 1), "after"]
    assert [event.name for event in whole].count("end") == 1


async def test_keys_are_made_and_backups_too_beside_a_gateway_that_runs_and_nothing_else(
    network: ScriptedNetwork, tmp_path: Path
) -> None:
    """Two that write events into one file would give a number twice."""
    settings = {"GATEWAY_ROUTER_URL": network.url, "GATEWAY_ROUTER_TOKEN": TOKEN}
    with served(tmp_path, **settings) as first:
        beside = [
            await key_command(tmp_path, "create", "ada", "--role", "viewer"),
            await gateway("backup", tmp_path / "copy.db", data_dir=tmp_path),
            await gateway("migrate", data_dir=tmp_path),
        ]
        refused = [
            await gateway("serve", data_dir=tmp_path, **settings),
            await gateway("restore", tmp_path / "copy.db", data_dir=tmp_path),
        ]
        async with first.client() as client:
            still = await client.get("/v1/jobs")
        first.kill9()
        await asyncio.to_thread(first.start)

    assert [one.returncode for one in beside] == [0, 0, 0], beside
    assert [(one.returncode, one.stdout) for one in refused] == [(1, ""), (1, "")]
    for one in refused:
        (line,) = one.stderr.splitlines()
        assert f"Another gateway has the database {tmp_path / 'gateway.db'} open. Stop that one first" in line
    assert still.status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_backup_that_is_broken_off_leaves_no_half_file(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, and what an init system does."""
    run_gateway("migrate", data_dir=tmp_path)
    before = names_in(tmp_path)
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")  # so it comes as far as its file, and no further
        command = [sys.executable, "-m", "app", "backup", str(tmp_path / "copy.db")]
        with subprocess.Popen(command, env=environment(tmp_path)) as process:
            while process.poll() is None and names_in(tmp_path) == before:
                time.sleep(_LOOK_AGAIN_S)
            os.kill(process.pid, number)
            holder.execute("ROLLBACK")
            code = process.wait(WITHIN_S)

    assert code == 130
    assert names_in(tmp_path) == before


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_where_there_is_no_room_nothing_is_left_and_nothing_changed(tmp_path: Path, command: str) -> None:
    """A full disk is when people tidy up, and half a backup looks like a backup."""
    run_gateway("migrate", data_dir=tmp_path)
    assert run_gateway("backup", tmp_path / "copy.db", data_dir=tmp_path).returncode == 0
    before = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}
    file = tmp_path / ("another.db" if command == "backup" else "copy.db")

    refused = run_gateway(command, file, data_dir=tmp_path, through=WITH_SMALL_FILES)

    assert refused.returncode == 1
    assert refused.stderr.startswith("gateway: ")
    assert "Traceback" not in refused.stderr
    assert {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)} == before


def names_in(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


@asynccontextmanager
async def talking(network: ScriptedNetwork) -> AsyncIterator[None]:
    """The Access Point says one thing after the other while the block lasts."""

    async def talk() -> None:
        n = 0
        while True:
            await network.stream_says(b'{"n":%d}' % n)
            n += 1
            await asyncio.sleep(_LOOK_AGAIN_S)

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def heard_until(own: Gateway, key: str, path: str, *, n: int) -> list[Event]:
    """A viewer's events up to the message `n`."""
    async with with_key(own, key) as client:
        told = await Listener(own, client).bytes_until(lambda heard: b'data: {"n":%d}' % n in heard, path)
    return numbered(sse(told))
