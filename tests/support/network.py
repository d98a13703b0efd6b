"""A real network for tests: four processes, each of which can be stopped, killed and started again alone."""

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from network import ports
from network.provision import Wishes, provision
from tests.support.prepared import Process, started

TEAMS = ("globex", "mercy", "lakeside")
START_WITHIN_S = 60.0
WITHIN_S = 30.0
INTERSECTION = {"operation": "PRIVATE_SET_INTERSECTION", "dataset": ["globex/patients", "mercy/patients"]}
REGRESSION = {
    "operation": "REGRESSION",
    "dataset": ["mercy/breast-cancer", "lakeside/breast-cancer"],
    "params": {"regression_type": "LOGISTIC"},
}
LONG_REGRESSION = REGRESSION | {
    "params": {"regression_type": "LOGISTIC", "model_params": {"max_iter": 1_000_000, "tol": 0}}
}


_UNDER_WAY = {"perm", "queue", "starting", "running"}

# A connection that was kept may be closed just as it is used again; parts come and go here.
_KEEP_NONE = httpx.Limits(max_keepalive_connections=0)


class RunningNetwork:
    """The parts as processes, and what a user of them needs.

    One that was not started here serves as well as what a user needs of a network that runs in the folder already;
    `host` is where this machine finds it when its public name is known elsewhere only.
    """

    def __init__(self, data_dir: Path, *, slots: int = 1, host: str | None = None) -> None:
        self.data_dir = data_dir
        self._slots = slots
        self._host = host
        self._parts: dict[str, Process] = {}
        self._clients: dict[str, httpx.Client] = {}

    def start(self) -> None:
        """All parts; the Access Points are in touch when this returns."""
        self.start_router()
        for team in TEAMS:
            self._spawn(team, "network.access_point")
        for team in TEAMS:
            self._await_ready(team)

    def stop(self) -> None:
        """All parts, in good order."""
        self.hang_up()
        for name in (*TEAMS, "router"):
            self._end(name)

    def hang_up(self) -> None:
        """Close the connections; the parts stay."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    @property
    def listing(self) -> dict[str, Any]:
        """What `network.json` says."""
        content: dict[str, Any] = json.loads((self.data_dir / "network.json").read_text())
        return content

    @property
    def router_url(self) -> str:
        """The Router's address."""
        return self.here(self.listing["router_url"])

    @property
    def tokens(self) -> dict[str, str]:
        """The token of each team's owner."""
        return dict(self.listing["tokens"])

    def user_token(self, user: str) -> str:
        """The token of one user: of `member@globex`, say."""
        return next(str(entry["token"]) for entry in self.listing["users"] if entry["user"] == user)

    @property
    def access_points(self) -> dict[str, str]:
        """Each team's Access Point's address."""
        return {point["team"]: self.here(point["url"]) for point in self.listing["access_points"]}

    def here(self, url: str) -> str:
        """A public address, as this machine reaches it."""
        return url if self._host is None else str(httpx.URL(url).copy_with(host=self._host))

    def start_router(self) -> None:
        """The Router, where it was before."""
        self._spawn("router", "network.router")
        self._await_ready("router")

    def stop_router(self) -> None:
        """In good order."""
        self._end("router")

    def kill_router(self) -> None:
        """Without a chance to say goodbye."""
        self._kill("router")

    def start_access_point(self, team: str) -> None:
        """A team's Access Point, where it was before."""
        self._spawn(team, "network.access_point")
        self._await_ready(team)

    def stop_access_point(self, team: str) -> None:
        """In good order."""
        self._end(team)

    def kill_access_point(self, team: str) -> None:
        """Without a chance to say goodbye."""
        self._kill(team)

    @contextmanager
    def paused(self, team: str) -> Iterator[None]:
        """A team's Access Point does nothing for as long as the block lasts, unless it is killed."""
        part = self._parts[team]
        part.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            part.send_signal(signal.SIGCONT)

    def client(self, team: str) -> httpx.Client:
        """The Router as the team's owner sees it."""
        return self.user_client(f"owner@{team}")

    def user_client(self, user: str) -> httpx.Client:
        """The Router as this user sees it."""
        if user not in self._clients:
            headers = {"Authorization": f"Bearer {self.user_token(user)}"}
            self._clients[user] = httpx.Client(
                base_url=self.router_url, headers=headers, timeout=WITHIN_S, verify=False, limits=_KEEP_NONE
            )
        return self._clients[user]

    def create(self, body: dict[str, Any], *, team: str = "globex") -> str:
        """A new job's id."""
        answer = self.client(team).post("/v1/jobs", json={"client_ref": str(uuid4()), "job_name": "a job", **body})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def submit(self, body: dict[str, Any], *, team: str = "globex") -> dict[str, Any]:
        """A new job, submitted; its document."""
        return self.act(self.create(body, team=team), "submit", team=team)

    def run(self, body: dict[str, Any], *, team: str = "globex") -> dict[str, Any]:
        """A new job, submitted and allowed by everybody it asks; its document."""
        job = self.submit(body, team=team)
        self.accept_all(job)
        return self.job(job["id"], team=team)

    def act(self, job_id: str, verb: str, *, team: str = "globex") -> dict[str, Any]:
        """Submit, cancel or kill; the job's document afterwards."""
        answer = self.client(team).post(f"/v1/jobs/{job_id}/{verb}")
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return dict(content.get("job", content))

    def end_jobs(self) -> None:
        """Kill all that have been submitted and are not over."""
        for team in TEAMS:
            for job in self.client(team).get("/v1/jobs", params={"limit": 1000}).json()["items"]:
                if job["owner"]["team"] == team and job["market_status"] in _UNDER_WAY:
                    self.client(team).post(f"/v1/jobs/{job['id']}/kill")

    def accept_all(self, job: dict[str, Any]) -> None:
        """Every owner says yes."""
        for missing in job["waiting_on"]:
            path = f"/v1/access-requests/{missing['asset_id']}/{job['id']}/accept"
            assert self.client(missing["team"]).post(path).status_code == 200

    def job(self, job_id: str, *, team: str = "globex") -> dict[str, Any]:
        """The job's document as it is."""
        content: dict[str, Any] = self.client(team).get(f"/v1/jobs/{job_id}").json()
        return content

    def reached(self, job_id: str, wanted: Collection[str], *, team: str = "globex") -> dict[str, Any]:
        """The job's document as it first stood in one of `wanted`."""
        return self.changed(job_id, lambda job: job["market_status"] in wanted, team=team)

    def changed(self, job_id: str, fits: Callable[[dict[str, Any]], bool], *, team: str = "globex") -> dict[str, Any]:
        """The first document in the changes feed that fits."""
        deadline = time.monotonic() + WITHIN_S
        with self.client(team).stream("GET", "/v1/changes") as feed:
            for line in feed.iter_lines():
                told = json.loads(line).get("job")
                if told is not None and told["id"] == job_id and fits(told):
                    return dict(told)
                assert time.monotonic() < deadline, f"job {job_id} did not get there in time"
        raise AssertionError("the changes feed ended")

    def stream(self, job_id: str, *, after: int = 0, team: str = "globex") -> list[bytes]:
        """The lines of the job's stream up to its end."""
        return list(self.lines(job_id, after=after, team=team))

    def lines(self, job_id: str, *, after: int = 0, team: str = "globex") -> Iterator[bytes]:
        """The lines of the job's stream as they come; signs of life are left out."""
        door = self.job(job_id, team=team)["stream"]
        headers = {"Authorization": f"Bearer {door['token']}"}
        deadline = time.monotonic() + WITHIN_S
        with httpx.stream(
            "GET", self.here(door["url"]), params={"after": after}, headers=headers, timeout=WITHIN_S
        ) as feed:
            rest = b""
            for chunk in feed.iter_raw():
                assert time.monotonic() < deadline, "the stream did not end in time"
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line for line in whole if line)

    def job_pid(self, team: str, job_id: str) -> int:
        """The leader of the job's processes at a team's Access Point."""
        return int((self.data_dir / team / "jobs" / job_id / "pid").read_text())

    def _spawn(self, name: str, program: str) -> None:
        folder = self.data_dir / name
        if not (folder / "config.json").exists():
            provision(self.data_dir, Wishes(slots=self._slots))
        self._parts[name] = started(program, str(folder), "--stop-with-stdin", held=True)

    def _await_ready(self, name: str) -> None:
        output = self._parts[name].stdout
        assert output is not None
        assert output.readline().startswith(b"ready "), f"{name} did not start"

    def _end(self, name: str) -> None:
        part = self._parts.pop(name, None)
        if part is None:
            return
        assert part.stdin is not None
        part.stdin.close()
        _wait(part)

    def _kill(self, name: str) -> None:
        part = self._parts.pop(name)
        part.send_signal(signal.SIGKILL)
        _wait(part)


@contextmanager
def supervised(data_dir: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The whole network by its own command, from its `ready` on; it leaves with the block."""
    command = [sys.executable, "-m", "network", "--data-dir", str(data_dir), *options, "--stop-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == f"ready {data_dir / 'network.json'}\n".encode()
        yield supervisor


def four_free_ports() -> int:
    """The first of four in a row, below those that networks choose by themselves."""
    while True:
        first = 10_000 + 4 * secrets.randbelow(2_000)
        try:
            for port in range(first, first + 4):
                ports.bind("0.0.0.0", port).close()  # noqa: S104  # as a container would
        except OSError:
            continue
        return first


def running_in(group: int) -> list[int]:
    """The processes of a group that still run; killed ones that nobody has reaped do not."""
    command = ["ps", "-eo", "pid=,pgid=,stat="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    entries = (line.split() for line in listed.splitlines())
    return [int(pid) for pid, of, state in entries if int(of) == group and not state.startswith("Z")]


def _wait(part: Process) -> None:
    try:
        part.wait(START_WITHIN_S)
    finally:
        for pipe in (part.stdin, part.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="session")
def shared_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """One network for all tests of a session; whoever stops a part starts it again."""
    network = RunningNetwork(tmp_path_factory.mktemp("network"))
    try:
        network.start()
        yield network
    finally:
        network.stop()


@pytest.fixture(scope="module")
def running_network(shared_network: RunningNetwork) -> Iterator[RunningNetwork]:
    """The same; what a file's jobs still wait for or calculate at its end would keep every gateway busy."""
    yield shared_network
    shared_network.end_jobs()
