"""Our client and the network mean the same by agreements, preflight, shared streams, and parts of assets."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyarrow as pa
import pytest
from msgspec.structs import replace

from app.domain.errors import AgreementNotKnown, AssetNotKnown, Invalid, NotYours, RangeOutside
from app.domain.jobs import NewJob
from app.domain.network import Asset, NewAgreement
from app.domain.ports import Extent, Wanted
from app.domain.reports import EndLine, StatusLine
from tests.contract.teams import INTERSECTION, Team, created, finished, lines

TERMS = NewAgreement(
    to_team="globex",
    asset_id="mercy/patients",
    asset_restricted=True,
    expiration=datetime.now(UTC) + timedelta(days=1),
    run_limit=2,
    algorithm=None,
    algorithm_security=None,
    protocol="PRIVATE_SET_INTERSECTION",
)
CSV = Wanted(media_type="text/csv")
SHARED: NewJob = replace(INTERSECTION, stream_to=("mercy",))
ROWS = 25


@pytest.fixture
async def table(globex: Team) -> Asset:
    """A small table of globex's."""
    return await brought(globex, temporary=True)


async def brought(team: Team, *, temporary: bool) -> Asset:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"patient_id,age\n"
        for row in range(ROWS):
            yield b"p-%d,%d\n" % (row, row + 40)

    asset = await team.router.register_table(None, temporary=temporary)
    await team.access_points.upload(asset, media_type="text/csv", pieces=pieces())
    return await team.router.asset(asset.id)


# Agreements, usage, preflight


async def test_an_agreement_is_made_listed_and_ended(globex: Team, mercy: Team) -> None:
    """Its terms are those that were sent; who was let in sees it too."""
    made = await mercy.router.agree(TERMS)
    seen = await globex.router.agreements(state="active", asset_id=made.asset_id, to_team="globex")
    ended = await mercy.router.end_agreement(made.id)

    assert made in seen
    assert (made.team, made.to_team, made.asset, made.run_limit) == ("mercy", "globex", "mercy/patients", 2)
    assert (made.expiration, made.state, made.runs) == (TERMS.expiration, "active", 0)
    assert (ended.state, ended.ended_by) == ("ended", "owner@mercy")
    assert await mercy.router.end_agreement(made.id) == ended


async def test_an_agreement_that_is_not_ours_is_not_ours_to_end(globex: Team, mercy: Team) -> None:
    """Each kind of refusal is told apart."""
    made = await mercy.router.agree(TERMS)
    try:
        with pytest.raises(NotYours):
            await globex.router.end_agreement(made.id)
        with pytest.raises(AgreementNotKnown):
            await globex.router.end_agreement(uuid4())
        with pytest.raises(Invalid) as refused:
            await globex.router.agree(TERMS)
        assert refused.value.facts["field"] in ("to_team", "asset_id")
    finally:
        await mercy.router.end_agreement(made.id)


async def test_a_preflight_says_what_a_submit_then_does(globex: Team, mercy: Team) -> None:
    """With the agreement that grants it, and without."""
    before = await globex.router.preflight(INTERSECTION)
    made = await mercy.router.agree(TERMS)
    granted = await globex.router.preflight(INTERSECTION)
    job = await globex.router.submit((await created(globex)).id, client_ref="a deed")
    await mercy.router.end_agreement(made.id)

    assert (before.status, [one.agreement_id for one in before.approvals]) == ("data", [None])
    assert (granted.status, [one.agreement_id for one in granted.approvals]) == (None, [made.id])
    assert job.waiting_on == ()
    (request,) = await globex.router.access_requests(state=None, job_id=job.id, asset_id=made.asset_id, team="globex")
    assert (request.state, request.decided_by) == ("accepted", f"agreement {made.id}")


async def test_usage_names_whose_permission_is_needed(globex: Team) -> None:
    """Of several datasets, too."""
    assert (await globex.router.usage(algorithm=None, datasets=["globex/holdout"])).status is None
    assert (await globex.router.usage(algorithm=None, datasets=["globex/holdout", "mercy/patients"])).status == "data"
    with pytest.raises(AssetNotKnown):
        await globex.router.usage(algorithm=None, datasets=["nobody/nothing"])
    with pytest.raises(Invalid):
        await globex.router.usage(algorithm=None, datasets=[])


# Shared streams


async def test_a_shared_stream_tells_all_but_the_result(globex: Team, mercy: Team) -> None:
    """The other team reads it with a token of its own."""
    job = await finished(globex, mercy, SHARED)

    seen = await mercy.router.job(job.id)
    theirs, ours = await lines(mercy, job.id), await lines(globex, job.id)

    assert (job.stream_to, seen.stream_to, seen.result) == (("mercy",), ("mercy",), None)
    assert [line.mark for line in theirs] == [line.mark for line in ours]
    assert isinstance(theirs[-1], EndLine)
    assert {line.status.result for line in theirs if isinstance(line, StatusLine)} == {None}
    assert [line.status.result for line in ours if isinstance(line, StatusLine)][-1] is not None


async def test_a_stream_is_shared_with_who_takes_part_alone(globex: Team) -> None:
    """The refusal names which is not."""
    with pytest.raises(Invalid) as refused:
        await created(globex, replace(INTERSECTION, stream_to=("mercy", "lakeside")))

    assert refused.value.facts["field"] == "stream_to.1"


# Assets


async def test_a_temporary_table_is_named_by_the_router(table: Asset) -> None:
    """Nobody has to think of a name for what goes anyway."""
    assert table.temporary
    assert table.name.startswith("globex/temporary-")


async def test_a_table_that_stays_has_a_name(globex: Team) -> None:
    """Or nobody would find it again."""
    with pytest.raises(Invalid) as refused:
        await globex.router.register_table(None, temporary=False)

    assert refused.value.facts["field"] == "name"


@pytest.mark.parametrize(
    ("offset", "limit", "expected", "following"),
    [
        (None, None, range(ROWS), None),
        (10, 5, range(10, 15), 15),
        (20, 5, range(20, ROWS), None),
        (None, 3, range(3), 3),
        (1000, None, range(0), None),
    ],
)
async def test_rows_are_chosen_and_counted(  # noqa: PLR0917  (two are fixtures)
    globex: Team, table: Asset, offset: int | None, limit: int | None, expected: range, following: int | None
) -> None:
    """And it is said where the table goes on."""
    wanted = Wanted(media_type="application/vnd.apache.arrow.stream", offset=offset, limit=limit)

    async with globex.access_points.content(table, wanted) as content:
        read = pa.ipc.open_stream(io.BytesIO(b"".join([piece async for piece in content.pieces]))).read_all()

    assert read.column("patient_id").to_pylist() == [f"p-{row}" for row in expected]
    assert (content.said["X-Records"], content.next_offset) == (str(ROWS), following)


async def test_stored_bytes_are_had_in_parts(globex: Team, table: Asset) -> None:
    """As long as they are the same, which they always are."""
    parquet = Wanted(media_type="application/vnd.apache.parquet")
    async with globex.access_points.content(table, parquet) as content:
        whole = b"".join([piece async for piece in content.pieces])
        etag = content.said["ETag"]

    some = {"Range": "bytes=4-", "If-Range": etag}
    async with globex.access_points.content(table, replace(parquet, conditions=some)) as part:
        rest = b"".join([piece async for piece in part.pieces])
    async with globex.access_points.content(table, replace(parquet, conditions={"If-None-Match": etag})) as same:
        pass
    with pytest.raises(RangeOutside) as refused:
        async with globex.access_points.content(table, replace(parquet, conditions={"Range": "bytes=9999999-"})):
            pass

    assert (content.extent, part.extent, same.extent) == (Extent.WHOLE, Extent.PART, Extent.UNCHANGED)
    assert (rest, part.said["Content-Range"]) == (whole[4:], f"bytes 4-{len(whole) - 1}/{len(whole)}")
    assert refused.value.facts == {"content_range": f"bytes */{len(whole)}"}


async def test_operations_say_how_they_prepare(globex: Team) -> None:
    """A schema, or that they take none."""
    operations = {operation.name: operation for operation in await globex.router.operations()}

    assert (operations["REGRESSION"].preprocessor or {})["type"] == "object"
