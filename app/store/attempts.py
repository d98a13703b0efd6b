"""Requests with an Idempotency-Key, and their answers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.sqlite import insert

from app.domain.attempts import KEPT_DAYS, Answer, Asked, Kept
from app.store.database import Database
from app.store.numbers import to_us
from app.store.tables import ATTEMPTS


class SqlAttempts:
    """Fulfils the port Attempts on one database."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def reserve(self, asked: Asked) -> Kept:
        """Remember it, durably, or tell what is remembered of it."""
        now = self._now()
        await self._database.execute(
            delete(ATTEMPTS).where(ATTEMPTS.c.begun_us < to_us(now - timedelta(days=KEPT_DAYS)))
        )
        values = {**msgspec.structs.asdict(asked), "begun_us": to_us(now)}
        reserving = insert(ATTEMPTS).values(values).on_conflict_do_nothing().returning(ATTEMPTS.c.number)
        is_new = bool(await self._database.fetch(reserving))
        known = [ATTEMPTS.c[name] == values[name] for name in ("caller", "route", "key")]
        (row,) = await self._database.fetch(select(ATTEMPTS).where(*known))
        return Kept(
            number=row.number,
            digest=row.digest,
            job_id=UUID(row.job_id) if row.job_id else None,
            answer=msgspec.json.decode(row.answer, type=Answer) if row.answer else None,
            is_new=is_new,
        )

    async def has_made(self, number: int, job_id: UUID) -> None:
        """Half of it is done."""
        await self._change(number, job_id=str(job_id))

    async def answer(self, number: int, answer: Answer) -> None:
        """What is told to every repetition from now on."""
        await self._change(number, answer=msgspec.json.encode(answer).decode())

    async def release(self, number: int) -> None:
        """Nothing was done: forget it."""
        await self._database.execute(delete(ATTEMPTS).where(ATTEMPTS.c.number == number))

    async def _change(self, number: int, **values: str) -> None:
        await self._database.execute(update(ATTEMPTS).where(ATTEMPTS.c.number == number).values(**values))
