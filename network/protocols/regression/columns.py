"""Which columns the regression is about, agreed by all parties before any row is read.

Names only: the index of assets shows them anyway.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from network.protocols.numeric_columns import is_numeric
from network.protocols.parameters import TargetParams
from network.protocols.party import Dataset, JobFailed, Party

OFFER_TOPIC = "columns"
CHOICE_TOPIC = "chosen-columns"


class Columns(BaseModel):
    """The features, in the order all parties use, and the target."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    features: tuple[str, ...]
    target: str


def offer_columns(party: Party, params: TargetParams) -> Columns:
    """The owner's side: tell the initiator what is here, and return what it chose.

    Raises JobFailed when there is no target or no numeric feature, and when the choice is not what was offered.
    """
    offered = _common_here(party, params)
    party.send(party.initiator, OFFER_TOPIC, offered.model_dump_json().encode())
    chosen = _parse(party.receive(party.initiator, CHOICE_TOPIC), team=party.initiator)
    if sorted(chosen.features) != sorted(offered.features) or chosen.target != offered.target:
        raise JobFailed(f"{party.initiator} chose other columns than {party.me} offered")
    return chosen


def choose_columns(party: Party, owners: Sequence[str]) -> Columns:
    """The initiator's side: hear every owner, and announce one order. Raises JobFailed naming what differs."""
    offers = {owner: _parse(party.receive(owner, OFFER_TOPIC), team=owner) for owner in owners}
    chosen = _one_of(offers)
    for owner in owners:
        party.send(owner, CHOICE_TOPIC, chosen.model_dump_json().encode())
    return chosen


def _parse(payload: bytes, *, team: str) -> Columns:
    try:
        return Columns.model_validate_json(payload)
    except ValidationError as exc:
        raise JobFailed(f"{team} sent no list of columns") from exc


def _common_here(party: Party, params: TargetParams) -> Columns:
    here = [dataset for dataset in party.datasets if dataset.team == party.me]
    return _one_of({f"dataset {dataset.asset_id}": _columns_of(party, dataset, params=params) for dataset in here})


def _one_of(offers: Mapping[str, Columns]) -> Columns:
    (first, chosen), *others = offers.items()
    for name, offer in others:
        _check_features(first, chosen, other=name, offer=offer)
        if offer.target != chosen.target:
            raise JobFailed(
                f"the target is {chosen.target!r} at {first} and {offer.target!r} at {name}; name one in params"
            )
    return chosen


def _check_features(first: str, chosen: Columns, *, other: str, offer: Columns) -> None:
    for name, missing in (
        (other, set(chosen.features) - set(offer.features)),
        (first, set(offer.features) - set(chosen.features)),
    ):
        if missing:
            raise JobFailed(
                f"{name} has no numeric feature {', '.join(map(repr, sorted(missing)))}; another owner does"
            )


def _columns_of(party: Party, dataset: Dataset, *, params: TargetParams) -> Columns:
    table, roles = party.table(dataset), party.roles(dataset)
    target = _target(table, roles, wanted=params.target, team=party.me)
    features = [
        field.name
        for field in table.schema
        if roles.get(field.name) == "feature" and field.name != target and is_numeric(field.type)
    ]
    if not features:
        raise JobFailed(f"{party.me} has no numeric column whose role is feature")
    return Columns(features=tuple(features), target=target)


def _target(table: pa.Table, roles: Mapping[str, str], *, wanted: str | None, team: str) -> str:
    targets = [name for name in table.column_names if roles.get(name) == "target"] if wanted is None else [wanted]
    if len(targets) != 1:
        raise JobFailed(f"{len(targets)} columns of {team} have the role target; name the target in params")
    target = targets[0]
    if target not in table.column_names:
        raise JobFailed(f"the table of {team} has no target column {target!r}")
    if not is_numeric(table.schema.field(target).type) or roles.get(target) == "identifier":
        raise JobFailed(f"the target column {target!r} of {team} is not numeric")
    return target
