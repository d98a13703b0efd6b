"""A real network for tests: four processes, each of which can be stopped, killed and started again alone."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

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


class RunningNetwork:
    """The parts as processes, and what a user of them needs."""

    def __init__(self, data_dir: Path, *, slots: int = 1) -> None:
        self.data_dir = data_dir
        self._slots = slots
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        self._clients: dict[str, httpx.Client] = {}

    def start(self) -> None:
        """All parts; the Access Points are in touch when this returns."""
        self.start_router()
        for team in TEAMS:
            self._spawn(team, "access-point", team)
        for team in TEAMS:
            self._await_ready(team)

    def stop(self) -> None:
        """All parts, in good order."""
        for client in self._clients.values():
            client.close()
        for name in (*TEAMS, "router"):
            self._end(name)

    @property
    def listing(self) -> dict[str, Any]:
        """What `network.json` says."""
        content: dict[str, Any] = json.loads((self.data_dir / "network.json").read_text())
        return content

    @property
    def router_url(self) -> str:
        """The Router's address."""
        return str(self.listing["router_url"])

    @property
    def tokens(self) -> dict[str, str]:
        """A token for a user of each team."""
        return dict(self.listing["tokens"])

    @property
    def access_points(self) -> dict[str, str]:
        """Each team's Access Point's address."""
        return {point["team"]: point["url"] for point in self.listing["access_points"]}

    def start_router(self) -> None:
        """The Router, where it was before."""
        self._spawn("router", "router")
        self._await_ready("router")

    def stop_router(self) -> None:
        """In good order."""
        self._end("router")

    def kill_router(self) -> None:
        """Without a chance to say goodbye."""
        self._kill("router")

    def start_access_point(self, team: str) -> None:
        """A team's Access Point, where it was before."""
        self._spawn(team, "access-point", team)
        self._await_ready(team)

    def stop_access_point(self, team: str) -> None:
        """In good order."""
        self._end(team)

    def kill_access_point(self, team: str) -> None:
        """Without a chance to say goodbye."""
        self._kill(team)

    def client(self, team: str) -> httpx.Client:
        """The Router as a user of the team sees it."""
        if team not in self._clients:
            headers = {"Authorization": f"Bearer {self.tokens[team]}"}
            self._clients[team] = httpx.Client(base_url=self.router_url, headers=headers, timeout=WITHIN_S)
        return self._clients[team]

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
        with httpx.stream("GET", door["url"], params={"after": after}, headers=headers, timeout=WITHIN_S) as feed:
            rest = b""
            for chunk in feed.iter_raw():
                assert time.monotonic() < deadline, "the stream did not end in time"
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line for line in whole if line)

    def job_pid(self, team: str, job_id: str) -> int:
        """The leader of the job's processes at a team's Access Point."""
        return int((self.data_dir / team / "jobs" / job_id / "pid").read_text())

    def _spawn(self, name: str, *arguments: str) -> None:
        options = ("--data-dir", str(self.data_dir), "--slots", str(self._slots), "--stop-with-stdin")
        command = [sys.executable, "-m", "network", *arguments, *options]
        self._parts[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

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


def running_in(group: int) -> list[int]:
    """The processes of a group that still run; killed ones that nobody has reaped do not."""
    command = ["ps", "-eo", "pid=,pgid=,stat="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    entries = (line.split() for line in listed.splitlines())
    return [int(pid) for pid, of, state in entries if int(of) == group and not state.startswith("Z")]


def _wait(part: subprocess.Popen[bytes]) -> None:
    try:
        part.wait(START_WITHIN_S)
    finally:
        for pipe in (part.stdin, part.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="session")
def running_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """One network for all tests of a session; whoever stops a part starts it again."""
    network = RunningNetwork(tmp_path_factory.mktemp("network"))
    try:
        network.start()
        yield network
    finally:
        network.stop()
