"""The header that makes a repeated request harmless."""

from typing import Annotated

from fastapi import Depends, Header, Request, Response

from app.api.problems import REPLAYED
from app.domain.errors import Invalid
from app.domain.jobs import Job
from app.services.once import Done

_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="The same again with the same body is not done twice: it is told the first definitive answer, for a week",
    ),
]


async def _only_one(request: Request, key: _Key = None) -> str | None:
    if len(request.headers.getlist("Idempotency-Key")) > 1:
        raise Invalid("Two keys for one request; send one.", field="Idempotency-Key")
    return key


IdempotencyKey = Annotated[str | None, Depends(_only_one)]


def told(done: Done, response: Response) -> Job:
    """The job, with a word in the head where this is an earlier answer."""
    if done.replayed:
        response.headers[REPLAYED] = "true"
    return done.job
