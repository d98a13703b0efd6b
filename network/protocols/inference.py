"""EXECUTE: a trained model travels to the table, is run there, and only its results leave.

The model's owner sends it to the table's owner (nothing is sent where they are the same); the table's owner sends the
results, batch by batch, to the initiator.
"""

import json
import time
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.model_file import from_bytes
from network.protocols.parameters import InferenceParams
from network.protocols.party import JobFailed, Outcome, Party
from network.protocols.scoring import Scored, classes, score

MODEL_TOPIC, HEADER_TOPIC, BATCH_TOPIC = "model", "results-header", "results"

_FLOAT = np.dtype("<f8")


class _Header(BaseModel):
    """What the table's owner says before the results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["LINEAR", "LOGISTIC"]
    records: int
    quality: dict[str, float]


def run(party: Party) -> Outcome:
    """Send the model, run it, or keep the results, whichever is this party's part; one party may have several.

    Raises JobFailed when there is no model, it is not one of ours, or the table lacks one of its features.
    """
    params = InferenceParams.model_validate(party.params)
    table_team = party.datasets[0].team
    model_team = _model_team(party)
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
    model = from_bytes(content)
    scored = score(party.table(dataset), party.roles(dataset), model=model, team=party.me)
    return _Header(kind=model.kind, records=len(scored.scores), quality=scored.quality), scored


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
        if len(payload) != size * _FLOAT.itemsize:
            raise JobFailed(f"{team} sent {len(payload)} bytes of results, expected {size * _FLOAT.itemsize}")
        yield np.frombuffer(payload, dtype=_FLOAT).astype(np.float64)


def _keep(party: Party, header: _Header, batches: Iterator[Reals], *, params: InferenceParams) -> Outcome:
    received = [np.empty(0)]
    for batch in batches:
        received.append(batch)
        if params.stream_output:
            _tell(party, batch)
    asset_id = party.save_table(_table(np.concatenate(received), kind=header.kind))
    summary = {"operation": "EXECUTE", "kind": header.kind, "records": header.records, **header.quality}
    return Outcome(raw_status=json.dumps(summary), asset_id=asset_id)


def _tell(party: Party, batch: Reals) -> None:
    result = batch[:, np.newaxis].tolist()
    party.emit({"__type": "InferenceResults", "data_gathered_timestamp": time.time(), "result": result})


def _table(scores: Reals, *, kind: str) -> pa.Table:
    row = np.arange(len(scores))
    if kind == "LINEAR":
        return pa.table({"row": row, "prediction": scores})
    return pa.table({"row": row, "prediction": classes(scores), "probability": scores})
