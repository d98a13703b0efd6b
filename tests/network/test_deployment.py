"""The network as a container runs it: on every address, under a public name, with a token for its neighbour."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from network import passes
from tests.support.network import INTERSECTION, LONG_REGRESSION, TEAMS, RunningNetwork, four_free_ports, supervised
from tests.support.processes import descendants

FINAL = {"complete", "error", "cancelled", "killed", "denied"}
# Not the address that the parts use amongst themselves: only what listens everywhere answers here.
ELSEWHERE = "127.0.0.2"
# They exist to hold secrets, and their mode lets their owner alone read them.
KEPT_SECRET = {"config.json", "network.json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A network behind the name `network`, whose ports only this machine knows how to reach."""

    network: RunningNetwork
    supervisor: int
    port: int
    token_file: Path


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """One for all tests of this file."""
    data_dir, token_file = tmp_path_factory.mktemp("network"), tmp_path_factory.mktemp("shared") / "token"
    port = four_free_ports()
    options = ("--host", "0.0.0.0", "--port", str(port), "--public-url", "http://network")  # noqa: S104  # as a container
    network = RunningNetwork(data_dir, host=ELSEWHERE)
    with supervised(data_dir, *options, "--token-file", f"globex={token_file}") as supervisor:
        yield Deployed(network=network, supervisor=supervisor.pid, port=port, token_file=token_file)
        network.hang_up()


def test_everything_is_found_under_the_public_name_on_ports_in_a_row(deployed: Deployed) -> None:
    listing = deployed.network.listing

    assert listing["router_url"] == f"http://network:{deployed.port}"
    points = [(point["team"], point["url"]) for point in listing["access_points"]]
    assert points == [(team, f"http://network:{deployed.port + 1 + place}") for place, team in enumerate(TEAMS)]


def test_clients_reach_every_part_from_elsewhere(deployed: Deployed) -> None:
    network = deployed.network

    answers = [httpx.get(f"{url}/ping").json() for url in (network.router_url, *network.access_points.values())]

    assert [answer.get("team") for answer in answers] == [None, *TEAMS]
    assert all(answer["epoch"] for answer in answers)


def test_a_jobs_doors_have_the_public_name_and_its_parties_need_none(deployed: Deployed) -> None:
    """The public name may be known to clients only, and its parts talk to each other as neighbours."""
    network = deployed.network

    job = network.run(INTERSECTION)

    own = f"http://network:{deployed.port + 1}"
    assert job["stream"]["url"] == f"{own}/v1/jobs/{job['id']}/stream"
    done = network.reached(job["id"], FINAL)
    assert (done["market_status"], done["error"]) == ("complete", "")
    assert json.loads(network.stream(job["id"])[-1])["outcome"] == "complete"
    asset_id = done["result"]["asset_id"]
    assert network.client("globex").get(f"/v1/assets/{asset_id}").json()["content"]["url"].startswith(own)


def test_the_token_of_the_file_is_the_owners(deployed: Deployed) -> None:
    headers = {"Authorization": b"Bearer " + deployed.token_file.read_bytes()}

    me = httpx.get(f"{deployed.network.router_url}/v1/me", headers=headers).json()  # type: ignore[arg-type]  # as read

    assert me["user"] == "owner@globex"
    assert deployed.token_file.stat().st_mode & 0o777 == 0o600


def test_no_token_stands_where_others_could_read_it(deployed: Deployed) -> None:
    """Process lists, logs and copies of a database travel further than the files that are made for secrets."""
    network = deployed.network
    with _running_job(network) as job_id:
        processes = _processes([deployed.supervisor, *descendants(deployed.supervisor)])
        workers = [place for place, content in processes.items() if b"network.access_point.worker" in content]
        door = network.job(job_id)["stream"]
        _ask_where_they_open_nothing(network, door["token"])
        files = _files(network.data_dir)

    secrets = {*_secrets(network.data_dir), door["token"]}

    assert len(workers) == len(TEAMS)
    assert _holding(secrets, {**processes, **files}) == []
    # Those that parties of one job prove themselves with are in the Router's orders until they are taken.
    pairs = set(re.findall(r'"send_token":"([^"]+)"', _router_storage(files).decode(errors="replace")))
    logs = {place: content for place, content in files.items() if place.endswith(".log")}
    assert len(logs) == 2 + len(TEAMS)
    assert _holding(pairs, {**processes, **logs}) == []
    # What is kept instead; had the search looked past the Router's storage, this would be missing too.
    assert passes.fingerprint(network.user_token("owner@globex")).encode() in _router_storage(files)


def test_the_files_that_hold_secrets_are_their_owners_alone(deployed: Deployed) -> None:
    found = [path for path in deployed.network.data_dir.rglob("*") if path.name in KEPT_SECRET]

    assert len(found) == 2 + len(TEAMS)
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    """A search that finds nothing anywhere proves nothing."""
    planted = {name: f"planted-as-{name}" for name in ("argument", "variable", "line")}
    (tmp_path / "part.log").write_text(f"call failed token={planted['line']}\n")
    (tmp_path / "config.json").write_text(planted["line"])
    command = [sys.executable, "-c", "print('up', flush=True); input()", planted["argument"]]
    environment = {"TOKEN": planted["variable"]}

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        # Only a program that speaks has its arguments in place for certain.
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        places = {**_processes([process.pid]), **_files(tmp_path)}
        found = {name: _holding([token], places) for name, token in planted.items()}
        process.kill()

    own = f"/proc/{process.pid}"
    assert found == {
        "argument": [f"{own}/cmdline"],
        "variable": [f"{own}/environ"],
        "line": [str(tmp_path / "part.log")],
    }


@contextmanager
def _running_job(network: RunningNetwork) -> Iterator[str]:
    """One that would not end by itself."""
    job_id = str(network.run(LONG_REGRESSION)["id"])
    try:
        network.reached(job_id, {"running"})
        yield job_id
    finally:
        network.act(job_id, "kill")


def _ask_where_they_open_nothing(network: RunningNetwork, stream_token: str) -> None:
    """Refused calls too leave no trace of the token they came with."""
    user_token = network.user_token("member@mercy")
    for url in (f"{network.router_url}/internal/orders", f"{network.access_points['mercy']}/v1/assets/{TEAMS[0]}"):
        assert httpx.get(url, headers={"Authorization": f"Bearer {user_token}"}).status_code in {401, 404}
    headers = {"Authorization": f"Bearer {stream_token}"}
    assert httpx.get(f"{network.router_url}/v1/me", headers=headers).status_code == 401


def _secrets(data_dir: Path) -> Iterator[str]:
    """Every user's token, and what each Access Point proves itself with."""
    listing = json.loads((data_dir / "network.json").read_text())
    yield from (entry["token"] for entry in listing["users"])
    for team in TEAMS:
        own = json.loads((data_dir / team / "config.json").read_text())
        yield from (own["router_token"], own["pass_key"])


def _processes(pids: Iterable[int]) -> dict[str, bytes]:
    paths = [Path(f"/proc/{pid}/{what}") for pid in pids for what in ("cmdline", "environ")]
    return {str(path): path.read_bytes() for path in paths}


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in KEPT_SECRET]
    return {str(path): path.read_bytes() for path in paths}


def _router_storage(files: Mapping[str, bytes]) -> bytes:
    return b"".join(content for place, content in files.items() if "/router.sqlite" in place)


def _holding(secrets: Iterable[str], places: Mapping[str, bytes]) -> list[str]:
    wanted = [secret.encode() for secret in secrets]
    assert all(wanted)
    return [place for place, content in places.items() if any(secret in content for secret in wanted)]
