"""Access requests: who asks for which asset, the owner's answer, and what a job would have to ask for."""

from collections.abc import Sequence
from uuid import UUID

from app.domain.access import Caller
from app.domain.actions import Verb
from app.domain.jobs import NewJob
from app.domain.network import AccessRequest, Preflight, Usage
from app.domain.ports import Router
from app.services.lacking import offered
from app.services.record import Record

_WHAT = "Access requests"


class Permissions:
    """Passes questions and answers on; the Router keeps them, and decides who may answer."""

    def __init__(self, router: Router, *, record: Record) -> None:
        self._router = router
        self._record = record

    async def usage(self, *, algorithm: str | None, datasets: Sequence[str]) -> Usage:
        """Whose permission our team would need to use these. Raises AssetNotKnown."""
        return await self._router.usage(algorithm=algorithm, datasets=datasets)

    async def preflight(self, new: NewJob, *, by: Caller) -> Preflight:
        """Every approval that this job would need. Raises what its create would."""
        return await offered(self._router.acting_as(by.router_token).requests, "A preflight").preflight(new)

    async def requests(
        self, *, state: str | None, job_id: UUID | None, asset_id: UUID | None, team: str | None
    ) -> Sequence[AccessRequest]:
        """Requests for assets of our team, and those of our team's own jobs; `team` is who asks."""
        return await offered(self._router.requests, _WHAT).access_requests(
            state=state, job_id=job_id, asset_id=asset_id, team=team
        )

    async def accept(self, asset_id: UUID, job_id: UUID, *, by: Caller, reason: str | None) -> AccessRequest:
        """Grant this one use of the asset."""
        async with self._record.of(Verb.ACCEPT, by, job_id=job_id, asset_id=asset_id, reason=reason) as entry:
            requests = offered(self._router.acting_as(by.router_token).requests, _WHAT)
            return await requests.accept(asset_id, job_id, reason=reason, client_ref=entry.client_ref)

    async def deny(self, asset_id: UUID, job_id: UUID, *, by: Caller, reason: str | None) -> AccessRequest:
        """Refuse it; the job ends `denied`."""
        async with self._record.of(Verb.DENY, by, job_id=job_id, asset_id=asset_id, reason=reason) as entry:
            requests = offered(self._router.acting_as(by.router_token).requests, _WHAT)
            return await requests.deny(asset_id, job_id, reason=reason, client_ref=entry.client_ref)
