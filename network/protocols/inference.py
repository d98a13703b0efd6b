"""EXECUTE: a trained model is run on a table. Here with security fed: it travels there, and only its results leave.

The model's owner sends it to the table's owner (nothing is sent where they are the same); the table's owner sends the
results, batch by batch, to the initiator. For security smpc see `neural.secret_execution`.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.model_file import any_from_bytes
from network.protocols.neural import secret_execution
from network.protocols.parameters import InferenceParams
from network.protocols.party import JobFailed, Outcome, Party
from network.protocols.predictions import About, keep
from network.protocols.scoring import Scored, score

MODEL_TOPIC, HEADER_TOPIC, BATCH_TOPIC = "model", "results-header", "results"

_FLOAT = np.dtype("<f8")


class _Header(BaseModel):
    """What the table's owner says before the results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["LINEAR", "LOGISTIC", "NETWORK"]
    classifies: bool
    width: int = Field(ge=1, le=128)
    records: int
    quality: dict[str, float]


def run(party: Party) -> Outcome:
    """Send the model, run it, or keep the results, whichever is this party's part; one party may have several.

    Raises JobFailed when there is no model, it is not one of ours, or the table lacks one of its features.
    """
    params = InferenceParams.model_validate(party.params)
    table_team = party.datasets[0].team
    model_team = _model_team(party)
    if params.security == "smpc":
        return secret_execution.run(party, model_team=model_team)
    if party.me == model_team != table_team:
        party.send(table_team, MODEL_TOPIC, party.model())
    if party.me == table_team:
        header, scored = _score_here(party, model_team=model_team)
        batches = _batches(scored.scores, size=params.batch_size)
        if party.me == party.initiator:
            return _keep(party, header, batches, params=params)
        _deliver(party, header, batches)
    elif party.me == party.initiator:
        header = _receive_header(party, table_team)
        return _keep(party, header, _receive(party, table_team, header=header, params=params), params=params)
    return Outcome(raw_status="")


def _model_team(party: Party) -> str:
    try:
        return party.model_team
    except KeyError as exc:
        raise JobFailed("the job names no model: make a model its operation, or give one in params.model") from exc


def _score_here(party: Party, *, model_team: str) -> tuple[_Header, Scored]:
    dataset = party.datasets[0]
    content = party.model() if model_team == party.me else party.receive(model_team, MODEL_TOPIC)
    model = any_from_bytes(content)
    scored = score(party.table(dataset), party.roles(dataset), model=model, team=party.me)
    records, width = scored.scores.shape
    header = _Header(kind=model.kind, classifies=model.classifies, width=width, records=records, quality=scored.quality)
    return header, scored


def _batches(scores: Reals, *, size: int) -> Iterator[Reals]:
    for start in range(0, len(scores), size):
        yield scores[start : start + size]


def _deliver(party: Party, header: _Header, batches: Iterator[Reals]) -> None:
    party.send(party.initiator, HEADER_TOPIC, header.model_dump_json().encode())
    for batch in batches:
        party.send(party.initiator, BATCH_TOPIC, batch.astype(_FLOAT).tobytes())


def _receive_header(party: Party, team: str) -> _Header:
    try:
        return _Header.model_validate_json(party.receive(team, HEADER_TOPIC))
    except ValidationError as exc:
        raise JobFailed(f"{team} sent no description of its results") from exc


def _receive(party: Party, team: str, *, header: _Header, params: InferenceParams) -> Iterator[Reals]:
    for start in range(0, header.records, params.batch_size):
        size = min(params.batch_size, header.records - start)
        payload = party.receive(team, BATCH_TOPIC)
        expected = size * header.width * _FLOAT.itemsize
        if len(payload) != expected:
            raise JobFailed(f"{team} sent {len(payload)} bytes of results, expected {expected}")
        yield np.frombuffer(payload, dtype=_FLOAT).astype(np.float64).reshape(size, header.width)


def _keep(party: Party, header: _Header, batches: Iterator[Reals], *, params: InferenceParams) -> Outcome:
    about = About(
        classifies=header.classifies,
        width=header.width,
        summary={"kind": header.kind},
        quality=header.quality,
        last_words={"__type": "NNFEDMetrics"} if header.kind == "NETWORK" else None,
    )
    return keep(party, batches, about, stream_output=params.stream_output)
