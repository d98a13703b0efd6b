"""Does what a request with an Idempotency-Key asks for once, and tells its answer again to whoever repeats it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from app.domain.attempts import Answer, Asked, Kept, has_no_effect, is_definitive
from app.domain.errors import GatewayError, KeyInUse, KeyReused, StoreAway
from app.domain.jobs import Job
from app.domain.ports import Attempts

log = logging.getLogger(__name__)


class Attempt:
    """One try at a request. `in_doubt`: an earlier try may have been received, so one looks before anything is sent.

    `client_ref` is what a create tells the Router; `job_id` the job that an earlier try has made.
    """

    def __init__(self, *, client_ref: str, in_doubt: bool = False, job_id: UUID | None = None) -> None:
        self.client_ref = client_ref
        self.in_doubt = in_doubt
        self.job_id = job_id

    @classmethod
    def without_key(cls) -> "Attempt":
        """The only one, as far as can be known."""
        return cls(client_ref=str(uuid4()))

    async def has_made(self, job_id: UUID) -> None:
        """Half of it is done: a repetition goes on with this job."""
        self.job_id = job_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The job that the request was about, and whether this is an earlier answer again."""

    job: Job
    replayed: bool


Deed = Callable[[Attempt], Awaitable[Job]]


class Once:
    """The answer is kept before it is told; what has none when the process ends is in doubt from then on."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._under_way: set[tuple[str, str, str]] = set()

    async def do(self, asked: Asked | None, deed: Deed, *, whatever_is_remembered: bool = False) -> Done:
        """Do it, unless that was done before.

        Raises KeyReused for another body than the key's first, KeyInUse while that one is under way, and StoreAway, with
        nothing done, where the key cannot be kept; but `whatever_is_remembered` is done all the same.
        """
        if asked is None:
            return Done(job=await deed(Attempt.without_key()), replayed=False)
        name = (asked.caller, asked.route, asked.key)
        if name in self._under_way:
            raise KeyInUse("The first request with this Idempotency-Key is still under way; ask again in a moment.")
        self._under_way.add(name)
        try:
            kept = await self._reserved(asked, whatever_is_remembered=whatever_is_remembered)
            if kept is None:
                return Done(job=await deed(Attempt.without_key()), replayed=False)
            return await self._done(asked, kept, deed)
        finally:
            self._under_way.discard(name)

    async def _reserved(self, asked: Asked, *, whatever_is_remembered: bool) -> Kept | None:
        try:
            return await self._attempts.reserve(asked)
        except StoreAway:
            if not whatever_is_remembered:
                raise
            log.exception("key not kept")
            return None

    async def _done(self, asked: Asked, kept: Kept, deed: Deed) -> Done:
        if kept.digest != asked.digest:
            raise KeyReused("This Idempotency-Key was sent with another body before; take a new one for a new request.")
        if kept.answer is not None:
            return Done(job=kept.answer.told(), replayed=True)
        attempt = _Kept(self._attempts, kept, asked)
        try:
            job = await deed(attempt)
        except GatewayError as error:
            await self._leave(kept, attempt, error)
            raise
        await self._keep(kept, Answer(job=job))
        return Done(job=job, replayed=False)

    async def _leave(self, kept: Kept, attempt: Attempt, error: GatewayError) -> None:
        if is_definitive(error):
            await self._keep(kept, Answer.of(error))
        elif has_no_effect(error) and not attempt.in_doubt and attempt.job_id is None:
            await self._write(self._attempts.release(kept.number))

    async def _keep(self, kept: Kept, answer: Answer) -> None:
        await self._write(self._attempts.answer(kept.number, answer))

    async def _write(self, writing: Awaitable[None]) -> None:
        try:
            await writing
        except StoreAway:
            # It is done, whatever we remember of it: a repetition looks first.
            log.exception("answer to a key not kept")


class _Kept(Attempt):
    """The same, with a memory."""

    def __init__(self, attempts: Attempts, kept: Kept, asked: Asked) -> None:
        super().__init__(client_ref=asked.client_ref, in_doubt=not kept.is_new, job_id=kept.job_id)
        self._attempts = attempts
        self._number = kept.number

    async def has_made(self, job_id: UUID) -> None:
        """Kept before the other half is begun. Where it cannot be, a repetition finds the job by its reference."""
        await super().has_made(job_id)
        try:
            await self._attempts.has_made(self._number, job_id)
        except StoreAway:
            log.exception("half of a request not kept", extra={"job": str(job_id)})
