"""Access requests: who asks for which asset, and the owner's answer."""

from collections.abc import Sequence
from uuid import UUID

from app.domain.access import Caller
from app.domain.actions import Verb
from app.domain.network import AccessRequest
from app.domain.ports import Router
from app.services.record import Record


class Permissions:
    """Passes questions and answers on; the Router keeps them, and decides who may answer."""

    def __init__(self, router: Router, *, record: Record) -> None:
        self._router = router
        self._record = record

    async def requests(self, *, state: str | None, job_id: UUID | None) -> Sequence[AccessRequest]:
        """Requests for assets of our team, and those of our team's own jobs."""
        return await self._router.access_requests(state=state, job_id=job_id)

    async def accept(self, asset_id: UUID, job_id: UUID, *, by: Caller, reason: str | None) -> AccessRequest:
        """Grant this one use of the asset."""
        async with self._record.of(Verb.ACCEPT, by, job_id=job_id, asset_id=asset_id, reason=reason):
            return await self._router.acting_as(by.router_token).accept(asset_id, job_id, reason=reason)

    async def deny(self, asset_id: UUID, job_id: UUID, *, by: Caller, reason: str | None) -> AccessRequest:
        """Refuse it; the job ends `denied`."""
        async with self._record.of(Verb.DENY, by, job_id=job_id, asset_id=asset_id, reason=reason):
            return await self._router.acting_as(by.router_token).deny(asset_id, job_id, reason=reason)
