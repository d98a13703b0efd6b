"""Who did what."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, update

from app.domain.actions import Action, NewAction, Verb
from app.domain.jobs import StopAnswer
from app.store.database import Database
from app.store.numbers import VERBS
from app.store.rows import action_of, action_values
from app.store.tables import ACTIONS


class SqlActions:
    """Fulfils the port Actions on one database."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def begin(self, action: NewAction) -> int:
        """Keep that it is about to be done; the number to end it by."""
        statement = insert(ACTIONS).values(action_values(action, when=self._now())).returning(ACTIONS.c.id)
        return int((await self._database.fetch(statement))[0][0])

    async def end(
        self,
        number: int,
        *,
        outcome: str,
        job_id: UUID | None,
        asset_id: UUID | None,
        answers: Sequence[StopAnswer] = (),
    ) -> None:
        """Keep what became of it; `job_id` and `asset_id` where only now there is one."""
        made = {"job_id": job_id, "asset_id": asset_id}
        learnt = {name: str(value) for name, value in made.items() if value is not None}
        if answers:
            learnt["answers"] = msgspec.json.encode(answers).decode()
        await self._database.execute(update(ACTIONS).where(ACTIONS.c.id == number).values(outcome=outcome, **learnt))

    async def of_job(self, job_id: UUID) -> Sequence[Action]:
        """Everything that was done about a job, oldest first."""
        query = select(ACTIONS).where(ACTIONS.c.job_id == str(job_id)).order_by(ACTIONS.c.id)
        return [action_of(row) for row in await self._database.fetch(query)]

    async def made(self, client_ref: str, *, job_id: UUID) -> None:
        """Keep which job the Router made of a create, if that is not known yet."""
        unknown = update(ACTIONS).where(ACTIONS.c.client_ref == client_ref, ACTIONS.c.job_id.is_(None))
        await self._database.execute(unknown.values(job_id=str(job_id)))

    async def creator(self, job_id: UUID) -> str | None:
        """Who asked for this job. None: nobody here."""
        made = ACTIONS.c.job_id == str(job_id), ACTIONS.c.verb == VERBS[Verb.CREATE]
        query = select(ACTIONS.c.user).where(*made).order_by(ACTIONS.c.id).limit(1)
        found = await self._database.fetch(query)
        return str(found[0][0]) if found else None
