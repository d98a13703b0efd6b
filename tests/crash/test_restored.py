"""A gateway that runs, its backup, and what comes back: through the commands, as an operator does it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.support.events import sse
from tests.support.gateway import Caller, Gateway, environment
from tests.support.network import REGRESSION, RunningNetwork
from tests.support.recount import counted


def command(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """What it says, and how it ends."""
    env = environment(gateway.data_dir)
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments], env=env, capture_output=True, timeout=60, check=False
    )


async def test_what_was_backed_up_comes_back_and_no_number_comes_twice(
    own_gateway: Gateway, running_network: RunningNetwork, tmp_path: Path
) -> None:
    """What came after the backup is fetched from the Router; feeds from before are told of the gap."""
    copy = tmp_path / "copy.db"
    async with own_gateway.client() as client:
        caller = Caller(own_gateway, running_network, client)
        await caller.eventually("/v1/jobs", lambda page: not page["stale"])
        before = await caller.create(REGRESSION)
        made = command(own_gateway, "backup", str(copy))
        after = await caller.create(REGRESSION)
        shown = (await caller.get("/v1/jobs"))["as_of"]
    refused = command(own_gateway, "restore", str(copy))
    own_gateway.stop()
    done = command(own_gateway, "restore", str(copy))
    own_gateway.start()

    assert (made.returncode, done.returncode) == (0, 0), made.stderr + done.stderr
    assert refused.returncode == 1
    assert b"Another gateway has the database" in refused.stderr
    async with own_gateway.client() as client:
        caller = Caller(own_gateway, running_network, client)
        await caller.eventually("/v1/jobs", lambda page: not page["stale"])
        assert {before["id"], after["id"]} <= {
            job["id"] for job in (await caller.get("/v1/jobs", limit="200"))["items"]
        }
        newest = await caller.create(REGRESSION)

        def has_the_newest(raw: bytes) -> bool:
            return newest["id"].encode() in raw and raw.endswith(b"\n\n")

        feed = sse(await caller.bytes_until(has_the_newest, "/v1/events", after=str(shown)))
        own = sse(await caller.bytes_until(lambda raw: b"event: phase" in raw, f"/v1/jobs/{after['id']}/events"))
    assert [event.name for event in feed[:2]] == ["snapshot", "gap"]
    assert feed[0].id == shown
    assert min(event.id for event in feed[2:]) > shown + 1_000_000
    assert own[1].id > shown + 1_000_000
    counted(own_gateway.data_dir / "gateway.db")


async def test_a_kill_goes_through_and_reads_go_on_while_the_file_is_gone(
    own_gateway: Gateway, running_network: RunningNetwork
) -> None:
    """Nothing is written into a file that nobody finds again; whoever asks is told."""
    database = own_gateway.data_dir / "gateway.db"
    async with own_gateway.client() as client:
        caller = Caller(own_gateway, running_network, client)
        await caller.eventually("/v1/jobs", lambda page: not page["stale"])
        job = await caller.waiting(REGRESSION)
        other = await caller.create(REGRESSION)
        moved = database.rename(database.with_name("elsewhere.db"))

        refused = await client.post(f"/v1/jobs/{other['id']}/submit")
        killed = await client.post(f"/v1/jobs/{job['id']}/kill")
        listed = await client.get("/v1/jobs", params={"limit": "2"})
        ready = await client.get("/readyz")

    assert (refused.status_code, refused.json()["code"]) == (503, "history-unavailable")
    assert killed.status_code in (200, 202), killed.text
    assert running_network.reached(job["id"], {"killed"})
    assert listed.status_code == 200
    assert ready.status_code == 503
    assert "deleted or replaced" in ready.json()["detail"]
    own_gateway.stop()
    moved.rename(database)
    own_gateway.start()
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
