"""PRIVATE_SET_INTERSECTION: the initiator learns which of its identifiers another team has too.

Diffie-Hellman on a curve, by openmined-psi: each side encrypts the hashed identifiers under a key of its own, and
encryption commutes, so that doubly encrypted values can be compared. The initiator is the client and learns the
intersection; the other team is the server and learns only how many identifiers the client compares.

The server's encrypted identifiers are sent as they are (Raw): a Bloom filter or a Golomb-compressed set would be smaller,
and would report, at a small rate, matches that are none.
"""

import json
from typing import TypeVar

import private_set_intersection.python as psi
import pyarrow as pa

from network.protocols.parameters import IntersectionParams
from network.protocols.party import Dataset, JobFailed, Outcome, Party
from network.protocols.rules import match_columns

REQUEST_TOPIC, SETUP_TOPIC, RESPONSE_TOPIC = "psi-request", "psi-setup", "psi-response"

_Message = TypeVar("_Message", psi.ServerSetup, psi.Request, psi.Response)

# Only the compressed structures use it; Raw has no false positives.
_NO_RATE = 0.0


def run(party: Party) -> Outcome:
    """Ask or answer, whichever is this party's part. Raises JobFailed when the column is missing or cannot be matched."""
    first, second = party.datasets
    if first.team == second.team or party.initiator not in (first.team, second.team):
        raise JobFailed("an intersection needs a table of the team that starts the job and one of another team")
    columns = match_columns(IntersectionParams.model_validate(party.params))
    mine, column = (first, columns[0]) if first.team == party.me else (second, columns[1])
    if party.me == party.initiator:
        peer = second.team if mine is first else first.team
        return _ask(party, mine, column=column, peer=peer)
    _answer(party, mine, column=column)
    return Outcome(raw_status="")


def _ask(party: Party, dataset: Dataset, *, column: str, peer: str) -> Outcome:
    identifiers = _identifiers(party, dataset, column=column)
    client = psi.client.CreateWithNewKey(reveal_intersection=True)
    party.send(peer, REQUEST_TOPIC, client.CreateRequest(list(identifiers)).SerializeToString())
    setup = _parsed(psi.ServerSetup(), party.receive(peer, SETUP_TOPIC), team=peer)
    response = _parsed(psi.Response(), party.receive(peer, RESPONSE_TOPIC), team=peer)
    size = len(setup.raw.encrypted_elements)
    party.emit({"__type": "PSIMetrics", "hash_table_size": size})
    places = list(identifiers.values())
    try:
        matched = sorted(places[index] for index in client.GetIntersection(setup, response))
    except (RuntimeError, IndexError) as exc:
        raise JobFailed(f"{peer} sent an answer that cannot be compared") from exc
    asset_id = party.save_table(party.table(dataset).select([column]).take(pa.array(matched, pa.int64())))
    summary = {"operation": "PRIVATE_SET_INTERSECTION", "compared": len(places), "matched": len(matched)}
    return Outcome(raw_status=json.dumps(summary | {"hash_table_size": size}), asset_id=asset_id)


def _answer(party: Party, dataset: Dataset, *, column: str) -> None:
    identifiers = list(_identifiers(party, dataset, column=column))
    server = psi.server.CreateWithNewKey(reveal_intersection=True)
    request = _parsed(psi.Request(), party.receive(party.initiator, REQUEST_TOPIC), team=party.initiator)
    try:
        response = server.ProcessRequest(request)
    except RuntimeError as exc:
        raise JobFailed(f"{party.initiator} sent a request that cannot be answered") from exc
    size = len(request.encrypted_elements)
    setup = server.CreateSetupMessage(_NO_RATE, size, identifiers, psi.DataStructure.RAW)
    party.send(party.initiator, SETUP_TOPIC, setup.SerializeToString())
    party.send(party.initiator, RESPONSE_TOPIC, response.SerializeToString())


def _identifiers(party: Party, dataset: Dataset, *, column: str) -> dict[str, int]:
    """Each identifier once, as text, with the place of its first row. Rows without one match nothing."""
    table = party.table(dataset)
    if column not in table.column_names:
        raise JobFailed(f"the table of {party.me} has no column {column!r} to match on")
    dtype = table.schema.field(column).type
    if not (pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_integer(dtype)):
        raise JobFailed(f"the column {column!r} of {party.me} holds {dtype}; text or whole numbers can be matched")
    places: dict[str, int] = {}
    for place, value in enumerate(table[column].cast(pa.string()).to_pylist()):
        if value is not None:
            places.setdefault(value, place)
    return places


def _parsed(message: _Message, payload: bytes, *, team: str) -> _Message:
    try:
        message.ParseFromString(payload)
    except Exception as exc:  # a DecodeError of protobuf, which is openmined-psi's dependency, not ours
        raise JobFailed(f"{team} sent what is no message of this protocol") from exc
    return message
