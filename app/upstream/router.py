"""The Router over HTTP, as docs/router-api.md says."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from uuid import UUID

import httpx

from app.domain.errors import AgreementNotKnown, AssetNotKnown, Garbled, JobNotKnown, RequestNotKnown
from app.domain.jobs import Mark, NewJob
from app.domain.network import AccessRequest, Agreement, Asset, NewAgreement, Operation, Preflight, Stored, Usage
from app.domain.reports import Change, JobReport, Me
from app.upstream.breaker import Breaker
from app.upstream.calls import MAX_ANSWER_BYTES, NDJSON, Calls, parsed, refuse_foreign, whole
from app.upstream.clients import Destination, begun, line_within_s
from app.upstream.failures import ROUTER, reading, refusal
from app.upstream.lines import TooLong, lines_of
from app.upstream.wire import (
    AccessRequests,
    Agreements,
    Assets,
    ChangeLine,
    Items,
    JobAnswer,
    Operations,
    act_body,
    agreement_body,
    create_body,
    preflight_body,
    table_body,
)


class HttpRouter:
    """Fulfils the port Router, with all that one may lack. `calls` and `streams` are separate clients: open streams make calls in the same pool dear."""

    def __init__(self, *, calls: Calls, streams: httpx.AsyncClient) -> None:
        self._calls = calls
        self._streams = streams

    @classmethod
    def of(cls, *, calls: Destination, streams: httpx.AsyncClient, breaker: Breaker | None = None) -> "HttpRouter":
        """The Router that these clients are made for; without a breaker it gets one of its own."""
        one = breaker or Breaker(now_s=monotonic)
        return cls(calls=Calls(destination=calls, peer=ROUTER, breaker=one), streams=streams)

    def acting_as(self, token: str | None) -> "HttpRouter":
        return self if token is None else HttpRouter(calls=self._calls.acting_as(token), streams=self._streams)

    listing = None

    @property
    def feed(self) -> "HttpRouter":
        return self

    lookup = catalogue = requests = standing = feed

    async def me(self) -> Me:
        # The feed asks it before it listens, and a kill before it is passed on: neither waits for a probe.
        return await self._calls.insisting().read("/v1/me", Me)

    async def create(self, new: NewJob, *, client_ref: str) -> JobReport:
        return await self._calls.write("/v1/jobs", JobReport, body=create_body(new, client_ref=client_ref))

    async def made_with(self, client_ref: str) -> JobReport | None:
        found = await self._calls.read("/v1/jobs", Items, query={"client_ref": client_ref})
        return found.items[0] if found.items else None

    async def submit(self, job_id: UUID, *, client_ref: str) -> JobReport:
        body = act_body(None, client_ref=client_ref)
        return await self._calls.write(f"/v1/jobs/{job_id}/submit", JobReport, body=body, missing=JobNotKnown)

    async def cancel(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport:
        body = act_body(reason, client_ref=client_ref)
        return (await self._calls.write(f"/v1/jobs/{job_id}/cancel", JobAnswer, body=body, missing=JobNotKnown)).job

    async def kill(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport:
        body = act_body(reason, client_ref=client_ref)
        insisting = self._calls.insisting()  # a kill is passed on whatever is believed of the Router
        return (await insisting.write(f"/v1/jobs/{job_id}/kill", JobAnswer, body=body, missing=JobNotKnown)).job

    async def job(self, job_id: UUID) -> JobReport:
        return await self._calls.read(f"/v1/jobs/{job_id}", JobReport, missing=JobNotKnown)

    @asynccontextmanager
    async def changes(self, after: Mark | None) -> AsyncIterator[AsyncIterator[Sequence[Change]]]:
        query = {"epoch": after.epoch, "after": str(after.sequence)} if after else {}
        with reading(ROUTER):
            async with begun(self._streams, "/v1/changes", params=query) as response:
                if not response.is_success:
                    answer = await whole(response, peer=ROUTER)
                    raise refusal(answer.status, answer.body, missing=JobNotKnown, peer=ROUTER)
                refuse_foreign(response, NDJSON, peer=ROUTER)
                self._calls.breaker.look_again()
                yield _changes(response, within_s=line_within_s(self._streams))

    async def stored(self, asset_id: UUID) -> Stored:
        return await self.asset(asset_id)

    async def operations(self) -> Sequence[Operation]:
        return (await self._calls.read("/v1/operations", Operations)).items

    async def assets(self, *, name: str | None, team: str | None, kind: str | None) -> Sequence[Asset]:
        return (await self._calls.read("/v1/assets", Assets, query={"name": name, "team": team, "kind": kind})).items

    async def asset(self, asset_id: UUID) -> Asset:
        return await self._calls.read(f"/v1/assets/{asset_id}", Asset, missing=AssetNotKnown)

    async def register_table(self, name: str | None, *, temporary: bool) -> Asset:
        return await self._calls.write("/v1/assets", Asset, body=table_body(name, temporary=temporary))

    async def usage(self, *, algorithm: str | None, datasets: Sequence[str]) -> Usage:
        query = {"algorithm": algorithm, "dataset": datasets}
        return await self._calls.read("/v1/assets/usage", Usage, query=query, missing=AssetNotKnown)

    async def preflight(self, new: NewJob) -> Preflight:
        return await self._calls.question("/v1/jobs/preflight", Preflight, body=preflight_body(new))

    async def access_requests(
        self, *, state: str | None, job_id: UUID | None, asset_id: UUID | None, team: str | None
    ) -> Sequence[AccessRequest]:
        query = {"state": state, "job_id": _text(job_id), "asset_id": _text(asset_id), "team": team}
        return (await self._calls.read("/v1/access-requests", AccessRequests, query=query)).items

    async def accept(self, asset_id: UUID, job_id: UUID, *, reason: str | None, client_ref: str) -> AccessRequest:
        return await self._decide("accept", asset_id, job_id, act_body(reason, client_ref=client_ref))

    async def deny(self, asset_id: UUID, job_id: UUID, *, reason: str | None, client_ref: str) -> AccessRequest:
        return await self._decide("deny", asset_id, job_id, act_body(reason, client_ref=client_ref))

    async def agreements(self, *, state: str | None, asset_id: UUID | None, to_team: str | None) -> Sequence[Agreement]:
        query = {"state": state, "asset_id": _text(asset_id), "to_team": to_team}
        return (await self._calls.read("/v1/agreements", Agreements, query=query)).items

    async def agree(self, new: NewAgreement) -> Agreement:
        return await self._calls.write("/v1/agreements", Agreement, body=agreement_body(new), missing=AssetNotKnown)

    async def end_agreement(self, agreement_id: UUID) -> Agreement:
        return await self._calls.end(f"/v1/agreements/{agreement_id}", Agreement, missing=AgreementNotKnown)

    async def _decide(self, verb: str, asset_id: UUID, job_id: UUID, body: Mapping[str, object]) -> AccessRequest:
        path = f"/v1/access-requests/{asset_id}/{job_id}/{verb}"
        return await self._calls.write(path, AccessRequest, body=body, missing=RequestNotKnown)


async def _changes(response: httpx.Response, *, within_s: float) -> AsyncIterator[Sequence[Change]]:
    # A job document that a call can bring, a change can bring too; one over the limit would be met again for ever.
    async for lines in lines_of(response, within_s=within_s, longest=MAX_ANSWER_BYTES):
        changes: list[Change] = []
        try:
            changes.extend(_change(line) for line in lines if line != b"")
        except Garbled:
            # Those before it are there, and are news all the same.
            if changes:
                yield changes
            raise
        if changes:
            yield changes


def _change(line: bytes | TooLong) -> Change:
    return parsed(b"" if isinstance(line, TooLong) else line, ChangeLine, peer=ROUTER).value()


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
