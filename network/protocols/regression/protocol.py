"""REGRESSION: the initiator trains, the owners contribute."""

from network.protocols.parameters import RegressionParams
from network.protocols.party import JobFailed, Outcome, Party
from network.protocols.regression.initiator import train
from network.protocols.regression.owner import contribute


def run(party: Party) -> Outcome:
    """Train or contribute, whichever is this party's part. Raises JobFailed when there is no fit, saying why."""
    params = RegressionParams.model_validate(party.params)
    owners = sorted({dataset.team for dataset in party.datasets})
    _refuse_unsafe(party, owners)
    if party.me == party.initiator:
        return train(party, owners, params=params)
    contribute(party, owners, params=params)
    return Outcome(raw_status="")


def _refuse_unsafe(party: Party, owners: list[str]) -> None:
    # The Router has checked this too; an owner need not take its word for it.
    if party.initiator in owners or len(owners) < 2:
        raise JobFailed("a regression needs tables of at least two teams, none of them the one that starts the job")
