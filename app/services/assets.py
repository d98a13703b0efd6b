"""Assets and operations: what jobs can be made of."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from msgspec.structs import replace

from app.domain.access import Caller
from app.domain.actions import Verb
from app.domain.network import Asset, Operation
from app.domain.ports import AccessPoints, Router
from app.services.lacking import offered
from app.services.record import Record


class Assets:
    """The Router's index, and the way of bytes to our own Access Point."""

    def __init__(self, router: Router, *, access_points: AccessPoints, record: Record) -> None:
        self._router = router
        self._record = record
        self._access_points = access_points

    async def operations(self) -> Sequence[Operation]:
        """What a job can name as its operation."""
        return await offered(self._router.catalogue, "The list of operations").operations()

    async def assets(self, *, name: str | None, team: str | None, kind: str | None) -> Sequence[Asset]:
        """The assets this team can see."""
        return await offered(self._router.catalogue, "The list of assets").assets(name=name, team=team, kind=kind)

    async def asset(self, asset_id: UUID) -> Asset:
        """One asset. Raises AssetNotKnown."""
        return await offered(self._router.catalogue, "What is known of an asset").asset(asset_id)

    async def upload(
        self, name: str | None, *, temporary: bool, by: Caller, media_type: str, pieces: AsyncIterator[bytes]
    ) -> Asset:
        """Make a table asset of our team; its bytes go straight to our Access Point. A temporary one may have no name."""
        async with self._record.of(Verb.UPLOAD, by) as entry:
            catalogue = offered(self._router.acting_as(by.router_token).catalogue, "A place for a new asset")
            asset = await catalogue.register_table(name, temporary=temporary)
            entry.asset_id = asset.id
            uploaded = await self._access_points.upload(asset, media_type=media_type, pieces=pieces)
        return replace(asset, columns=uploaded.columns, records=uploaded.records)
