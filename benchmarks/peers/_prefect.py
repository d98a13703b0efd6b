"""Prefect's server with a history, on loopback, by itself: in a folder of its own, and telling nobody."""

import asyncio
import json
import os
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from benchmarks._asking import Asking, asking
from benchmarks._fan import SERVERS, child

_READY_WITHIN_S = 120.0
_LOOK_AGAIN_S = 0.2
_APART_S = 60
_OWN = ("id", "name", "state_id", "created", "updated", "start_time", "expected_start_time", "state_timestamp")


@asynccontextmanager
async def prefect(python: Path, home: Path) -> AsyncIterator[Asking]:
    """A server with its home in this folder, asked by one connection."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = (str(python), "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
    async with child(*command, cores=SERVERS, log=home / "prefect.log", **_settings(home)) as process:
        await _listening(port)
        async with asking(port, pid=process.pid) as asked:
            yield asked


def _settings(home: Path) -> dict[str, str]:
    """It schedules nothing, asks nobody, and is told of no proxy."""
    off = ("SERVER_ANALYTICS_ENABLED", "SERVER_UI_ENABLED", "LOGGING_TO_API_ENABLED", "SERVER_EPHEMERAL_ENABLED")
    return {
        "HOME": str(home),
        "PREFECT_HOME": str(home),
        "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
        "PREFECT_SERVER_API_KEEPALIVE_TIMEOUT": "75",
        "DO_NOT_TRACK": "1",
        **{f"PREFECT_{name}": "false" for name in off},
        **{name: "" for name in os.environ if name.lower().endswith("_proxy")},
    }


async def _listening(port: int) -> None:
    async with asyncio.timeout(_READY_WITHIN_S):
        while not await _is_well(port):  # noqa: ASYNC110  (no bell rings for it)
            await asyncio.sleep(_LOOK_AGAIN_S)


async def _is_well(port: int) -> bool:
    try:
        async with asking(port, pid=os.getpid()) as asked:
            return (await asked.get("/api/health")).status == 200
    except (OSError, asyncio.IncompleteReadError):
        return False


async def one_run(asked: Asking) -> str:
    """A run that is complete; its id."""
    flow = json.loads((await asked.post("/api/flows/", b'{"name":"nightly"}')).body)
    state = {"type": "COMPLETED", "name": "Completed"}
    new = {"flow_id": flow["id"], "name": "first", "state": state, "parameters": {"alpha": 0.5}, "tags": ["project-01"]}
    async with asyncio.timeout(_READY_WITHIN_S):
        # Just begun, it may refuse: its own services hold the database.
        while (answer := await asked.post("/api/flow_runs/", json.dumps(new).encode())).status != 201:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_S)
    return str(json.loads(answer.body)["id"])


def multiplied(home: Path, runs: int) -> None:
    """So many runs like the one that is there, each with a state, a name and moments of its own; the server is off."""
    connection = sqlite3.connect(home / "prefect.db")
    connection.row_factory = sqlite3.Row
    run = dict(connection.execute("SELECT * FROM flow_run").fetchone())
    state = dict(connection.execute("SELECT * FROM flow_run_state WHERE flow_run_id = ?", (run["id"],)).fetchone())
    for number in range(1, runs):
        ids = {"id": str(uuid4()), "state_id": str(uuid4())}
        ago = f"-{number * _APART_S} seconds"
        moments = {name: value for name, value in run.items() if name in _OWN[3:] and value is not None}
        _insert(connection, "flow_run", run | ids | {"name": f"run-{number}"}, earlier=(moments, ago))
        theirs = {"id": ids["state_id"], "flow_run_id": ids["id"]}
        _insert(connection, "flow_run_state", state | theirs, earlier=({"timestamp": state["timestamp"]}, ago))
    connection.commit()
    connection.close()


def _insert(
    connection: sqlite3.Connection, table: str, row: dict[str, object], *, earlier: tuple[dict[str, object], str]
) -> None:
    moments, ago = earlier
    shift = "strftime('%Y-%m-%d %H:%M:%f000', ?, ?)"
    columns = {name: value for name, value in row.items() if name not in moments}
    names = ", ".join([*(f'"{name}"' for name in columns), *moments])
    places = ", ".join(["?"] * len(columns) + [shift] * len(moments))
    given = [*columns.values(), *(one for value in moments.values() for one in (value, ago))]
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", given)  # noqa: S608  (the table's own names)
