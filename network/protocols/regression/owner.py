"""What an owner does in a regression: agree on the columns, then contribute sums until the initiator has enough."""

from collections.abc import Sequence

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.aggregation.secure_sum import Contributor
from network.protocols.parameters import RegressionParams
from network.protocols.party import Party
from network.protocols.regression.announcements import hear_or_end
from network.protocols.regression.columns import offer_columns
from network.protocols.regression.families import sums_at
from network.protocols.regression.moments import Standard, give_moments
from network.protocols.regression.rows import RegressionType, Rows, read_rows

COEFFICIENTS_TOPIC, SUMS_TOPIC = "coefficients", "sums"


def contribute(party: Party, owners: Sequence[str], *, params: RegressionParams) -> None:
    """Take part until the initiator ends it. Raises JobFailed when the rows here cannot take part."""
    columns = offer_columns(party, params)
    rows = read_rows(party, columns, regression_type=params.regression_type)
    contributor = Contributor(party, owners)
    standard = give_moments(party, contributor, columns=rows.all_columns)
    design, target = _standardised(rows, standard, regression_type=params.regression_type)
    while (coefficients := hear_or_end(party, COEFFICIENTS_TOPIC, size=design.shape[1])) is not None:
        sums = sums_at(coefficients, design=design, target=target, regression_type=params.regression_type)
        contributor.contribute(SUMS_TOPIC, sums.flat())


def _standardised(rows: Rows, standard: Standard, *, regression_type: RegressionType) -> tuple[Reals, Reals]:
    features = Standard(mean=standard.mean[:-1], scale=standard.scale[:-1]).apply(rows.features)
    design = np.column_stack([features, np.ones(len(features))])
    if regression_type == "LOGISTIC":
        return design, rows.target
    return design, (rows.target - standard.mean[-1]) / standard.scale[-1]
