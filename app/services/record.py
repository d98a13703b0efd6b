"""Keeps who did what: that it is about to be done, then what became of it."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from app.domain.access import Caller
from app.domain.actions import DONE, NewAction, Verb
from app.domain.errors import GatewayError, StoreAway
from app.domain.jobs import StopAnswer
from app.domain.ports import Actions

log = logging.getLogger(__name__)


class Entry:
    """What is learnt of an action while it is done. `client_ref` is what the Router is told of it."""

    def __init__(self, client_ref: str) -> None:
        self.client_ref = client_ref
        self.job_id: UUID | None = None
        self.asset_id: UUID | None = None
        self.answers: Sequence[StopAnswer] = ()


class Record:
    """Whatever changes something at the Router is done inside `of`."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions

    @asynccontextmanager
    async def of(
        self,
        verb: Verb,
        by: Caller,
        *,
        job_id: UUID | None = None,
        asset_id: UUID | None = None,
        client_ref: str | None = None,
        reason: str | None = None,
    ) -> AsyncIterator[Entry]:
        """Keep it before it is done, and its outcome after. `client_ref`: where it has one already.

        Raises StoreAway, and nothing is done, where it cannot be kept; except for a kill, which the log then tells of.
        """
        entry = Entry(client_ref or str(uuid4()))
        action = NewAction(
            verb=verb,
            user=by.user,
            key_id=by.key_id,
            router_user=by.router_user,
            job_id=job_id,
            asset_id=asset_id,
            client_ref=entry.client_ref,
            reason=reason,
        )
        number = await self._begun(action)
        try:
            yield entry
        except GatewayError as error:
            entry.answers = _answers(error)
            await self._end(number, error.code, entry)
            raise
        except Exception:
            await self._end(number, GatewayError.code, entry)
            raise
        await self._end(number, DONE, entry)

    async def _begun(self, action: NewAction) -> int | None:
        try:
            return await self._actions.begin(action)
        except StoreAway:
            if action.verb is not Verb.KILL:
                raise
            log.exception("kill not recorded", extra={"job": str(action.job_id), "user": action.user})
            return None

    async def _end(self, number: int | None, outcome: str, entry: Entry) -> None:
        if number is None:
            return
        try:
            await self._actions.end(
                number, outcome=outcome, job_id=entry.job_id, asset_id=entry.asset_id, answers=entry.answers
            )
        except StoreAway:
            # It is done, whatever we remember of it.
            log.exception("outcome not recorded", extra={"action": number, "outcome": outcome})


def _answers(error: GatewayError) -> Sequence[StopAnswer]:
    """What the Access Points said to a cancel or kill that the Router refused."""
    answers = error.facts.get("answers")
    return answers if isinstance(answers, tuple) else ()
