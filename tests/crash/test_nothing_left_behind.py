"""The carried network leaves with the gateway, however that ends; and the commands say plainly what is wrong."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.events import sse
from tests.support.gateway import Commanded, Gateway, Json, environment
from tests.support.network import LONG_REGRESSION
from tests.support.processes import Family, naming

_GONE_WITHIN_S = 20.0
_COMMAND_WITHIN_S = 110.0
_LOOK_AGAIN_S = 0.02
_PARTS = 6  # the gateway, the network's supervisor, the Router, three Access Points

_ENDS: dict[str, Callable[[Gateway], object]] = {
    "ctrl-c": Gateway.interrupt,
    "sigterm": Gateway.stop,
    "sigkill": Gateway.kill9,
}


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that carries its network."""
    gateway = Commanded(tmp_path / "data")
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.end()


@pytest.mark.parametrize("end", ["ctrl-c", pytest.param("sigterm", marks=pytest.mark.full), "sigkill"])
async def test_no_process_outlives_the_gateway(embedded: Gateway, end: str) -> None:
    """A network that computes on after its gateway has gone would hold ports, files and processors."""
    if end != "sigterm":
        await _calculating(embedded)

    with Family(embedded.pid) as family:
        members = len(family)
        await asyncio.to_thread(_ENDS[end], embedded)
        left_over = await asyncio.to_thread(family.left_over, within_s=_GONE_WITHIN_S)

    assert left_over == []
    assert naming(embedded.data_dir) == []
    assert members >= (_PARTS if end == "sigterm" else _PARTS + 3)  # and the job's, at each Access Point


def test_a_stop_while_the_network_starts_leaves_nothing_either(tmp_path: Path) -> None:
    """An impatient Ctrl-C is the likeliest of all."""
    gateway = Commanded(tmp_path / "data")
    gateway.spawn()
    begun = (tmp_path / "data" / "network" / "network.json").exists
    while gateway.is_running and not begun():
        time.sleep(_LOOK_AGAIN_S)

    with Family(gateway.pid) as family:
        gateway.interrupt()
        left_over = family.left_over(within_s=_GONE_WITHIN_S)

    assert left_over == []
    assert naming(tmp_path) == []


def test_the_demo_runs_its_job_and_ends_with_success(tmp_path: Path) -> None:
    """The first command anybody tries."""
    ended = _gateway("demo", "--once", data_dir=tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "REST" not in ended.stderr
    assert "complete" in ended.stdout
    assert naming(tmp_path) == []


def test_migrate_makes_the_database_and_can_be_repeated(tmp_path: Path) -> None:
    """Run at every deployment, whether there is something to do or not."""
    first, second = _gateway("migrate", data_dir=tmp_path), _gateway("migrate", data_dir=tmp_path)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == second.stdout
    assert "up to date" in first.stdout
    with sqlite3.connect(tmp_path / "gateway.db") as database:
        tables = {row[0] for row in database.execute("select name from sqlite_master where type = 'table'")}
    database.close()
    assert {"job", "event", "position"} <= tables


@pytest.mark.parametrize("command", ["serve", pytest.param("migrate", marks=pytest.mark.full)])
def test_a_newer_programs_database_is_refused_and_left_alone(tmp_path: Path, command: str) -> None:
    """An older program would write what the newer one cannot read."""
    _gateway("migrate", data_dir=tmp_path)
    with sqlite3.connect(tmp_path / "gateway.db") as database:
        database.execute("update alembic_version set version_num = 'from-the-future'")
    database.close()
    before = (tmp_path / "gateway.db").read_bytes()

    refused = _gateway(command, data_dir=tmp_path, **_NO_NETWORK)

    assert refused.returncode == 1
    assert "newer version of the gateway" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (tmp_path / "gateway.db").read_bytes() == before


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", *(pytest.param(one, marks=pytest.mark.full) for one in ("::", "192.0.2.1", "example.org"))],  # noqa: S104  (to be refused)
)
def test_an_address_that_others_reach_is_refused(tmp_path: Path, host: str) -> None:
    """Without authentication whoever reaches the gateway may do everything."""
    refused = _gateway("serve", data_dir=tmp_path, GATEWAY_HOST=host)

    assert refused.returncode == 2
    assert f"GATEWAY_HOST={host}" in refused.stderr
    assert "127.0.0.1" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"GATEWAY_PORT": "many"}, "GATEWAY_PORT"),
        pytest.param({"GATEWAY_ROUTER_URL": "http://127.0.0.1:1"}, "GATEWAY_ROUTER_TOKEN", marks=pytest.mark.full),
        ({"GATEWAY_ROUTER": "sdk", "GATEWAY_ROUTER_TOKEN": "any"}, "GATEWAY_SDK_TEAM"),
        pytest.param({"GATEWAY_ROUTER": "carrier-pigeon"}, "GATEWAY_ROUTER", marks=pytest.mark.full),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path, settings: dict[str, str], named: str) -> None:
    """In one line, on standard error, with an exit code of its own."""
    refused = _gateway("serve", data_dir=tmp_path, **settings)

    assert refused.returncode == 2
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr


_NO_NETWORK = {"GATEWAY_ROUTER_URL": "http://127.0.0.1:1", "GATEWAY_ROUTER_TOKEN": "none"}


async def _calculating(gateway: Gateway) -> None:
    """A job of the embedded network that calculates at all three Access Points."""
    network = json.loads(await asyncio.to_thread((gateway.data_dir / "network" / "network.json").read_text))
    async with gateway.client() as client, httpx.AsyncClient(base_url=network["router_url"], trust_env=False) as router:
        answer = await client.post("/v1/jobs", params={"submit": "true"}, json={"job_name": "long", **LONG_REGRESSION})
        job: Json = answer.json()
        for missing in job["waiting_on"]:
            path = f"/v1/access-requests/{missing['asset_id']}/{job['id']}/accept"
            headers = {"Authorization": f"Bearer {network['tokens'][missing['team']]}"}
            assert (await router.post(path, headers=headers)).status_code == 200
        heard = b""
        async with asyncio.timeout(40), client.stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
            async for piece in stream.aiter_raw():
                heard += piece
                if any(event.name == "phase" and event.json["phase"] == "in_progress" for event in sse(heard)):
                    return


def _gateway(*command: str, data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *command],
        env=environment(data_dir, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_WITHIN_S,
        check=False,
    )
