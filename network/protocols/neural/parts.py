"""What owners and initiator of a training have to have agreed on before the first step: columns, rows, standard, shape."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.aggregation.secure_sum import Contributor
from network.protocols.neural.layers import Activation
from network.protocols.neural.losses import ModelOutput
from network.protocols.neural.network import standardised
from network.protocols.parameters import LayerParams, TargetParams
from network.protocols.party import JobFailed, Party
from network.protocols.regression.columns import Columns, choose_columns, offer_columns
from network.protocols.regression.moments import Standard, gather_moments, give_moments
from network.protocols.regression.rows import read_rows

DIVERGED = "the training diverged; use a smaller learning_rate, or layers other than square and relu"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRows:
    """The rows of one owner, standardised with the pooled moments; a target of classes stays as it is."""

    columns: Columns
    features: Reals
    target: Reals


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """All rows taken together, of which only sums are known; the target is the last column of `standard`."""

    columns: Columns
    records: int
    standard: Standard


def owners_of(party: Party, *, what: str) -> list[str]:
    """The teams that hold rows, sorted. Raises JobFailed unless they are two or more, and none is the initiator."""
    owners = sorted({dataset.team for dataset in party.datasets})
    # The Router has checked this too; an owner need not take its word for it.
    if party.initiator in owners or len(owners) < 2:
        raise JobFailed(f"{what} needs tables of at least two teams, none of them the one that starts the job")
    return owners


def bring_rows(
    party: Party, contributor: Contributor, *, params: TargetParams, model_output: ModelOutput, outputs: int = 1
) -> OwnRows:
    """The owner's side: agree on the columns, contribute to the moments, and standardise what is here.

    Raises JobFailed when the rows are too few, have gaps, or cannot be a target.
    """
    columns = offer_columns(party, params)
    rows = read_rows(party, columns, regression_type="LINEAR")
    _check_target(rows.target, columns, model_output=model_output, outputs=outputs)
    standard = give_moments(party, contributor, columns=rows.all_columns)
    numbers = standardised(rows.all_columns, mean=standard.mean, scale=standard.scale)
    target = numbers[:, -1] if model_output == "regression" else rows.target
    return OwnRows(columns=columns, features=numbers[:, :-1], target=target)


def _check_target(target: Reals, columns: Columns, *, model_output: ModelOutput, outputs: int) -> None:
    if model_output == "binary" and not np.isin(target, (0.0, 1.0)).all():
        raise JobFailed(f"the target {columns.target!r} of a network with a binary output must hold 0 and 1 only")
    if model_output == "multiclass" and not np.isin(target, np.arange(outputs)).all():
        raise JobFailed(
            f"the target {columns.target!r} of {outputs} classes must hold the numbers 0 to {outputs - 1} only"
        )


def meet_pool(party: Party, owners: Sequence[str]) -> Pool:
    """The initiator's side. Raises JobFailed when there is nothing to predict or nothing to predict it from."""
    columns = choose_columns(party, owners)
    records, standard = gather_moments(party, owners, size=len(columns.features) + 1)
    if standard.scale[-1] == 0:
        raise JobFailed(f"the target {columns.target!r} has the same value in every row of every owner")
    if not standard.scale[:-1].any():
        raise JobFailed("every feature has the same value in every row of every owner")
    return Pool(columns=columns, records=records, standard=standard)


def shape_of(layers: Sequence[LayerParams], *, outputs: int = 1) -> list[tuple[int, Activation]]:
    """Units and activation of each layer, the output included."""
    return [*((layer.units, layer.activation) for layer in layers), (outputs, "linear")]
