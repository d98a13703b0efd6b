"""Requests that carry an Idempotency-Key: each is done once, however often it is sent."""

from hashlib import sha256
from uuid import UUID

import msgspec

from app.domain.access import Caller
from app.domain.errors import GatewayError, NotKnown, RouterTokenRefused, StoreAway, Unreachable, Upstream, of_code
from app.domain.jobs import Job

KEPT_DAYS = 7


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request by its key, which counts for one caller and one route. `digest` tells its body from others."""

    caller: str
    route: str
    key: str
    digest: str

    @property
    def client_ref(self) -> str:
        """What a create tells the Router: the same for the same key and body, and nobody else's."""
        return f"key-{_digest([self.caller, self.key, self.digest])[:40]}"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The definitive answer: the job as it was then, or the error."""

    job: Job | None = None
    code: str = ""
    detail: str = ""
    facts: dict[str, object] = {}

    @classmethod
    def of(cls, error: GatewayError) -> "Answer":
        """The error, to be told again."""
        facts = msgspec.json.decode(msgspec.json.encode(error.facts, enc_hook=str))
        return cls(code=error.code, detail=error.detail, facts=facts)

    def told(self) -> Job:
        """The job again. Raises the error again."""
        if self.job is None:
            error = of_code(self.code)(self.detail, **self.facts)
            error.replayed = True
            raise error
        return self.job


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a request. Without an `answer` it is under way, or nobody knows what came of it.

    `job_id` is the job that it has made. `is_new`: nothing was remembered before.
    """

    number: int
    digest: str
    job_id: UUID | None
    answer: Answer | None
    is_new: bool


def asked_for(key: str | None, *, by: Caller, route: str, body: object) -> Asked | None:
    """None: it carries no key, so that nothing is known of repetitions."""
    if key is None:
        return None
    caller = [by.user] if by.router_user is None else [by.user, by.router_user]
    return Asked(caller=msgspec.json.encode(caller).decode(), route=route, key=key, digest=_digest(body))


def is_definitive(error: GatewayError) -> bool:
    """Whether the same answer will do for every repetition; what is not there may be there again."""
    return not isinstance(error, Upstream | StoreAway | RouterTokenRefused | NotKnown)


def has_no_effect(error: GatewayError) -> bool:
    """Whether nothing was surely done, so that the key is free again."""
    return isinstance(error, Unreachable | RouterTokenRefused | NotKnown)


def _digest(value: object) -> str:
    return sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
