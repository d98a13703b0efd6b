"""Standing agreements for tests: made through the public door, ended afterwards, for other tests are to be asked."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol

import pytest

from tests.support.network import RunningNetwork


class Agree(Protocol):
    """Makes an agreement; answers its document."""

    def __call__(self, team: str, **terms: Any) -> dict[str, Any]:
        """The team's owner agrees, with globex where nobody else is named."""


@pytest.fixture
def agree(running_network: RunningNetwork) -> Iterator[Agree]:
    """Agreements for one test."""
    made: list[dict[str, Any]] = []

    def make(team: str, **terms: Any) -> dict[str, Any]:
        answer = running_network.client(team).post("/v1/agreements", json={"to_team": "globex", **terms})
        assert answer.status_code == 201, answer.text
        made.append(answer.json())
        return made[-1]

    yield make
    for agreement in made:
        ended = running_network.client(agreement["team"]).delete(f"/v1/agreements/{agreement['id']}")
        assert ended.status_code == 200, ended.text


def agreement_now(network: RunningNetwork, agreement: dict[str, Any]) -> dict[str, Any]:
    """The agreement as its owner's list has it."""
    items = network.client(agreement["team"]).get("/v1/agreements").json()["items"]
    return dict(next(item for item in items if item["id"] == agreement["id"]))


def requests_of(network: RunningNetwork, job_id: str) -> list[dict[str, Any]]:
    """The job's access requests, as its own team sees them."""
    return list(network.client("globex").get("/v1/access-requests", params={"job_id": job_id}).json()["items"])


@contextmanager
def ledger_of(network: RunningNetwork, part: str) -> Iterator[sqlite3.Connection]:
    """What the Router or an Access Point remembers, to be changed behind its back; it runs on."""
    name = "router" if part == "router" else "access-point"
    with closing(sqlite3.connect(network.data_dir / part / f"{name}.sqlite")) as db, db:
        yield db
