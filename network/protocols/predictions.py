"""What the initiator does with predictions as they come: it tells them, counts them, and keeps them as a table."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.party import Outcome, Party
from network.protocols.scoring import classes

_MOST_TOLD = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of the predictions besides them. `summary` and `quality` go to the result's text.

    `width` is how many numbers a row has: a value, the probability of class 1, or that of each of many classes.
    `last_words` is the message that ends the stream, to which counts and quality are added; None: there is none.
    """

    classifies: bool
    width: int
    summary: Mapping[str, object]
    quality: Mapping[str, float] = field(default_factory=dict)
    last_words: Mapping[str, object] | None = None


def keep(party: Party, batches: Iterator[Reals], about: About, *, stream_output: bool) -> Outcome:
    """Keep all batches as a table; with `stream_output` each is told as it comes."""
    received: list[Reals] = []
    for batch in batches:
        received.append(batch)
        if stream_output:
            _tell(party, batch)
    scores = np.concatenate([np.empty((0, about.width)), *received])
    if about.last_words is not None:
        party.emit({**about.last_words, "records": len(scores), "batches": len(received), **about.quality})
    asset_id = party.save_table(_table(scores, classifies=about.classifies))
    summary = {"operation": "EXECUTE", **about.summary, "records": len(scores), **about.quality}
    return Outcome(raw_status=json.dumps(summary), asset_id=asset_id)


def _tell(party: Party, batch: Reals) -> None:
    """In one message, or in several where the rows are so wide that it would be too long."""
    size = max(1, _MOST_TOLD // batch.shape[1])
    for start in range(0, len(batch), size):
        result = batch[start : start + size].tolist()
        party.emit({"__type": "InferenceResults", "data_gathered_timestamp": time.time(), "result": result})


def _table(scores: Reals, *, classifies: bool) -> pa.Table:
    row = np.arange(len(scores))
    if not classifies:
        return pa.table({"row": row, "prediction": scores[:, 0]})
    # Of two classes it is the probability of class 1, whichever is predicted; of many, that of the predicted one.
    return pa.table({"row": row, "prediction": classes(scores), "probability": scores.max(axis=1)})
