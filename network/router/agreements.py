"""Which standing agreement allows which use of an asset: one rule for usage, preflight and submit.

Pure: agreements are kept in `standing`, and what a job uses is found in `plans`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Another team's asset in a job; `use` is `alg` for its algorithm, `data` for a dataset."""

    asset_id: str
    asset: str
    team: str
    use: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a team wants to run. `program` is None where it is not known yet, `security` where the program has none.

    `as_it_is`: nothing is done to the tables before, but that their columns are chosen.
    """

    team: str
    program: str | None
    model: str | None
    security: str | None
    uses: tuple[Use, ...]
    as_it_is: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A policy in force: what `team` allows `to_team`. `asset_id` is None where it is about all of the team's assets."""

    id: str
    team: str
    to_team: str
    asset_id: str | None
    run_limit: int | None
    algorithm: str | None
    algorithm_security: str | None
    protocol: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A use, and the agreement that allows it; None where a person of the owner's team must answer."""

    use: Use
    agreement_id: str | None

    def shown(self) -> dict[str, Any]:
        """As the API shows it."""
        use = self.use
        asset = {"asset_id": use.asset_id, "asset": use.asset, "team": use.team, "use": use.use}
        return {**asset, "agreement_id": self.agreement_id}


def approvals(plan: Plan, standing: Sequence[Agreement]) -> list[Approval]:
    """Every approval the plan needs. Of several agreements one without a limit is taken first, then the oldest."""
    ranked = sorted(standing, key=lambda agreement: agreement.run_limit is not None)
    return [Approval(use=use, agreement_id=_first(plan, use, ranked)) for use in plan.uses]


def status(needed: Sequence[Approval]) -> str | None:
    """Whose answers are missing: the algorithm's owner's, a dataset owner's, both, or None: nobody's."""
    missing = {approval.use.use for approval in needed if approval.agreement_id is None}
    return "both" if len(missing) > 1 else next(iter(missing), None)


def _first(plan: Plan, use: Use, standing: Sequence[Agreement]) -> str | None:
    return next((agreement.id for agreement in standing if _allows(agreement, plan, use)), None)


def _allows(agreement: Agreement, plan: Plan, use: Use) -> bool:
    if (agreement.team, agreement.to_team) != (use.team, plan.team):
        return False
    if agreement.asset_id not in {None, use.asset_id} or not plan.as_it_is:
        return False
    if agreement.protocol is not None:
        return agreement.protocol == plan.program
    # An algorithm is let in to data. To use the algorithm itself is another matter: its owner's.
    runs = (agreement.algorithm, agreement.algorithm_security) == (plan.model, plan.security)
    return use.use == "data" and runs
