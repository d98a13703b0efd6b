"""Access Points in threads: a protocol runs at all of them, and every payload they exchange is written down."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from threading import Condition
from typing import Self
from uuid import UUID, uuid4

import numpy as np
import pyarrow as pa

from network.data.tables import DemoTable, tables_of
from network.protocols.party import Dataset, JobFailed, Outcome, Party

DEADLINE_S = 20.0


class Abandoned(JobFailed):
    """Another party failed, or never sent what was waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A payload that went from one team to another."""

    sender: str
    receiver: str
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A table of a team, as an input of a job."""

    team: str
    table: pa.Table
    roles: Mapping[str, str]

    @classmethod
    def ready_made(cls, alias: str) -> Self:
        """One of the tables the network starts with, by `team/name`."""
        team, name = alias.split("/")
        demo = next(demo for demo in _tables(team) if demo.name == name)
        return cls(team=team, table=demo.table, roles=demo.roles)

    @classmethod
    def drawn(cls, team: str, *, rows: int = 40, seed: int = 1, **columns: pa.Array) -> Self:
        """Random features `a` and `b` and a target that depends on them; `columns` replaces or adds some."""
        rng = np.random.default_rng([seed, *team.encode()])
        a, b = rng.normal(3, 2, rows), rng.normal(-1, 0.5, rows)
        target = (a + b + rng.normal(0, 2, rows) > 2).astype(np.int64)
        drawn = {"a": pa.array(a), "b": pa.array(b), "target": pa.array(target)} | columns
        table = pa.table(drawn)
        return cls(team=team, table=table, roles={name: _role(name) for name in drawn})

    def without(self, name: str) -> Self:
        """The same rows, one column fewer."""
        return replace(self, table=self.table.drop_columns([name]))


@cache
def _tables(team: str) -> list[DemoTable]:
    return tables_of(team)


def _role(name: str) -> str:
    return {"target": "target", "patient_id": "identifier"}.get(name, "feature")


class Post:
    """Carries payloads between teams in order, and keeps a transcript of them."""

    def __init__(self) -> None:
        self.transcript: list[Sent] = []
        self._boxes: defaultdict[tuple[str, str, str], deque[bytes]] = defaultdict(deque)
        self._changed = Condition()
        self._closed = False

    def carry(self, sent: Sent) -> None:
        """Deliver, and write down."""
        with self._changed:
            self.transcript.append(sent)
            self._boxes[sent.sender, sent.receiver, sent.topic].append(sent.payload)
            self._changed.notify_all()

    def take(self, sender: str, receiver: str, *, topic: str) -> bytes:
        """The next payload of a topic, once it is there; Abandoned when it will never be."""
        with self._changed:
            box = self._boxes[sender, receiver, topic]
            self._changed.wait_for(lambda: box or self._closed, timeout=DEADLINE_S)
            if not box:
                raise Abandoned(f"{receiver} waited in vain for {topic} of {sender}")
            return box.popleft()

    def close(self) -> None:
        """Nothing more will come: whoever waits is told."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@dataclass(kw_only=True)
class FakeJob:
    """One job amongst fake Access Points: `run` computes it, the other fields say what happened."""

    inputs: Sequence[Input]
    initiator: str = "globex"
    params: Mapping[str, object] = field(default_factory=dict)
    content: bytes | None = None
    model_team: str = "globex"
    job_id: UUID = field(default_factory=uuid4)
    post: Post = field(default_factory=Post)
    messages: list[Mapping[str, object]] = field(default_factory=list)
    tables: dict[UUID, pa.Table] = field(default_factory=dict)
    models: dict[UUID, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.datasets = [Dataset(asset_id=uuid4(), team=given.team) for given in self.inputs]

    @property
    def teams(self) -> list[str]:
        """Everybody who takes part."""
        models = {self.model_team} if self.content is not None else set[str]()
        return sorted({self.initiator, *(given.team for given in self.inputs)} | models)

    def run(self, protocol: Callable[[Party], Outcome]) -> Outcome:
        """Run the protocol at every team that takes part; the initiator's outcome, or the failure that came first."""
        with ThreadPoolExecutor(len(self.teams)) as pool:
            futures = {team: pool.submit(self._part, protocol, FakeParty(self, team)) for team in self.teams}
        failures = [failure for future in futures.values() if (failure := future.exception()) is not None]
        for failure in sorted(failures, key=lambda failure: isinstance(failure, Abandoned)):
            raise failure
        return futures[self.initiator].result()

    def sent(self, *, sender: str, receiver: str, topic: str) -> list[bytes]:
        """The payloads of one topic from one team to another, in order."""
        wanted = (sender, receiver, topic)
        return [sent.payload for sent in self.post.transcript if (sent.sender, sent.receiver, sent.topic) == wanted]

    def _part(self, protocol: Callable[[Party], Outcome], party: Party) -> Outcome:
        try:
            return protocol(party)
        except BaseException:
            self.post.close()
            raise


class FakeParty:
    """The Access Point of one team in a `FakeJob`; as strict as a real one about what is held where."""

    def __init__(self, job: FakeJob, team: str) -> None:
        self.me = team
        self.initiator = job.initiator
        self.job_id = job.job_id
        self.datasets: Sequence[Dataset] = job.datasets
        self.params = job.params
        self._job = job

    def table(self, dataset: Dataset) -> pa.Table:
        """The rows, where they are held."""
        return self._held(dataset).table

    def roles(self, dataset: Dataset) -> Mapping[str, str]:
        """The roles, where the rows are held."""
        return self._held(dataset).roles

    def model(self) -> bytes:
        """The model, where it is held."""
        if self.me != self.model_team or self._job.content is None:
            raise KeyError(self.me)
        return self._job.content

    @property
    def model_team(self) -> str:
        """Who holds the model."""
        if self._job.content is None:
            raise KeyError("model")
        return self._job.model_team

    def send(self, team: str, topic: str, payload: bytes) -> None:
        """To another party of this job only."""
        if team == self.me or team not in self._job.teams:
            raise KeyError(team)
        self._job.post.carry(Sent(sender=self.me, receiver=team, topic=topic, payload=payload))

    def receive(self, team: str, topic: str) -> bytes:
        """In order of sending."""
        return self._job.post.take(team, self.me, topic=topic)

    def emit(self, message: Mapping[str, object]) -> None:
        """At the initiator only."""
        self._only_initiator()
        self._job.messages.append(message)

    def save_table(self, table: pa.Table) -> UUID:
        """At the initiator only."""
        self._only_initiator()
        asset_id = uuid4()
        self._job.tables[asset_id] = table
        return asset_id

    def save_model(self, content: bytes) -> UUID:
        """At the initiator only."""
        self._only_initiator()
        asset_id = uuid4()
        self._job.models[asset_id] = content
        return asset_id

    def _held(self, dataset: Dataset) -> Input:
        if dataset.team != self.me:
            raise KeyError(dataset.asset_id)
        return self._job.inputs[self._job.datasets.index(dataset)]

    def _only_initiator(self) -> None:
        if self.me != self.initiator:
            raise KeyError(self.me)
