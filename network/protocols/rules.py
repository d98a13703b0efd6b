"""Which jobs the operations accept, each rule for the privacy or the arithmetic it protects."""

from collections.abc import Sequence

from network.protocols.operation import AssetInfo, InvalidJob, Proposal
from network.protocols.parameters import InferenceParams, IntersectionParams, RecommenderParams, TargetParams


def intersection_rule(proposal: Proposal) -> None:
    """Two tables of two teams, one of them the initiator's, both with the column to match on."""
    if len(proposal.teams) != 2:
        raise InvalidJob("dataset", "PRIVATE_SET_INTERSECTION matches the tables of two different teams")
    if proposal.initiator not in proposal.teams:
        raise InvalidJob(
            "dataset",
            f"one of the two tables must belong to {proposal.initiator}, the team that starts the job: "
            "it learns which of its own rows match",
            allowed=[proposal.initiator],
        )
    params = proposal.params
    if isinstance(params, IntersectionParams):
        for dataset, column in zip(proposal.datasets, match_columns(params), strict=True):
            _check_column("params.match_column", column, among=[dataset])


def match_columns(params: IntersectionParams) -> tuple[str, str]:
    """The column to match on in the first and in the second dataset."""
    if isinstance(params.match_column, str):
        return params.match_column, params.match_column
    first, second = params.match_column
    return first, second


def training_rule(proposal: Proposal) -> None:
    """Tables of at least two teams, none of them the initiator's."""
    owners = ", ".join(proposal.teams)
    if proposal.initiator in proposal.teams:
        raise InvalidJob(
            "dataset",
            f"{proposal.initiator} starts the job and sees the sums over all tables; with a table of its own in them "
            "it could subtract its part. Use tables of at least two other teams",
        )
    if len(proposal.teams) < 2:
        raise InvalidJob(
            "dataset",
            f"all tables belong to {owners}; the sums over them would be the sums of one owner. "
            "Use tables of at least two teams",
        )
    if isinstance(proposal.params, TargetParams) and proposal.params.target is not None:
        _check_column("params.target", proposal.params.target, among=proposal.datasets)


def inference_rule(proposal: Proposal) -> None:
    """Any one table will do: whether the model fits it is known only where both are. For smpc it is another team's."""
    if isinstance(proposal.params, InferenceParams) and proposal.params.security == "smpc":
        _refuse_dealers_table(proposal)


def _refuse_dealers_table(proposal: Proposal) -> None:
    if proposal.initiator in proposal.teams:
        raise InvalidJob(
            "params.security",
            f"{proposal.initiator} starts the job and deals the random numbers that hide table and model; with smpc it can "
            "own neither of them",
            allowed=["fed"],
        )


def _check_column(field: str, name: str, *, among: Sequence[AssetInfo]) -> None:
    described = [dataset for dataset in among if dataset.columns]
    for dataset in described:
        names = [column.name for column in dataset.columns]
        if name not in names:
            raise InvalidJob(field, f"{dataset.name} has no column {name!r}", allowed=names)


def recommender_rule(proposal: Proposal) -> None:
    """Tables of at least two teams, none of them the initiator's, each with users, items and ratings."""
    training_rule(proposal)
    params = proposal.params
    if isinstance(params, RecommenderParams):
        for field in ("user_column", "item_column", "rating_column"):
            _check_column(f"params.{field}", getattr(params, field), among=proposal.datasets)
