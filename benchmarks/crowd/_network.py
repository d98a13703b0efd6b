"""A Router that also takes jobs, and Access Points that tell of them."""

from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.scripted import ScriptedNetwork

_OWNER = {"user": "owner@globex", "team": "globex"}


class Busy(ScriptedNetwork):
    """Creates, submits and cancels as it is asked."""

    def routes(self) -> list[Route]:
        """The same, and what changes a job."""
        return [
            Route("/v1/jobs", self._create, methods=["POST"]),
            Route("/v1/jobs/{job_id}/submit", self._submit, methods=["POST"]),
            Route("/v1/jobs/{job_id}/cancel", self._cancel, methods=["POST"]),
            *super().routes(),
        ]

    async def tell(self, job_id: str) -> None:
        """A message of the job's Access Point."""
        await self.stream_says(b'{"__type":"EpochMetrics","epoch":1,"loss":0.25}', job_id=job_id)

    async def _create(self, request: Request) -> Response:
        asked = await request.json()
        job_id = str(uuid4())
        facts = {name: asked[name] for name in ("client_ref", "job_name", "operation", "params", "labels")}
        await self.router_says("created", job_id=job_id, submitted=None, started=None, owner=_OWNER, **facts)
        return JSONResponse(self.document(job_id), 201)

    async def _submit(self, request: Request) -> Response:
        return JSONResponse(await self._moved(request, "queue"))

    async def _cancel(self, request: Request) -> Response:
        document = await self._moved(request, "cancelled")
        await self.stream_ends("cancelled", job_id=document["id"])
        return JSONResponse({"cancelled": True, "job": document})

    async def _moved(self, request: Request, market_status: str) -> dict[str, Any]:
        job_id = request.path_params["job_id"]
        kept = {name: self.document(job_id)[name] for name in ("client_ref", "job_name", "operation", "labels")}
        await self.router_says(market_status, job_id=job_id, **kept)
        return self.document(job_id)
