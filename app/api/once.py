"""The header that makes a repeated request harmless."""

from typing import Annotated

from fastapi import Header, Response

from app.api.problems import REPLAYED
from app.domain.jobs import Job
from app.services.once import Done

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="The same again with the same body is not done twice: it is told the first definitive answer, for a week",
    ),
]


def told(done: Done, response: Response) -> Job:
    """The job, with a word in the head where this is an earlier answer."""
    if done.replayed:
        response.headers[REPLAYED] = "true"
    return done.job
