"""Agreements: what owners have granted once and for all."""

from collections.abc import Sequence
from uuid import UUID

from app.domain.access import Caller
from app.domain.actions import Verb
from app.domain.network import Agreement, NewAgreement
from app.domain.ports import Router
from app.services.lacking import offered
from app.services.record import Record

_WHAT = "Agreements"


class Agreements:
    """Passes them on; the Router matches them at submit, the owner's Access Point checks each use."""

    def __init__(self, router: Router, *, record: Record) -> None:
        self._router = router
        self._record = record

    async def agreements(self, *, state: str | None, asset_id: UUID | None, to_team: str | None) -> Sequence[Agreement]:
        """Those that our team gave, and those it was given; ended ones too."""
        return await offered(self._router.standing, _WHAT).agreements(state=state, asset_id=asset_id, to_team=to_team)

    async def agree(self, new: NewAgreement, *, by: Caller) -> Agreement:
        """Grant it from now on."""
        async with self._record.of(Verb.AGREE, by) as entry:
            agreement = await offered(self._router.acting_as(by.router_token).standing, _WHAT).agree(new)
            entry.asset_id = agreement.asset_id
        return agreement

    async def end_agreement(self, agreement_id: UUID, *, by: Caller) -> Agreement:
        """Grant nothing by it any more; what it granted stays. Raises AgreementNotKnown."""
        async with self._record.of(Verb.END_AGREEMENT, by) as entry:
            agreement = await offered(self._router.acting_as(by.router_token).standing, _WHAT).end_agreement(
                agreement_id
            )
            entry.asset_id = agreement.asset_id
        return agreement
