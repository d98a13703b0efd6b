"""API keys, and the passes that stand for them where a browser can send none."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update

from app.domain.keys import Key, fingerprint
from app.store.database import Database
from app.store.numbers import to_us
from app.store.rows import key_of, key_values
from app.store.tables import KEYS, PASSES

_TICKETS_OF_A_KEY, _PASSES_OF_A_KEY = 1_000, 10_000


class SqlKeys:
    """Fulfils the port Keys on one database."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def keep(self, key: Key) -> None:
        """A new key."""
        await self._database.execute(insert(KEYS).values(key_values(key)))

    async def key(self, key_id: str) -> Key | None:
        """None: there is no such key."""
        found = await self.some([key_id])
        return found[0] if found else None

    async def some(self, key_ids: Collection[str]) -> Sequence[Key]:
        """Those that there are."""
        return [key_of(row) for row in await self._database.fetch(select(KEYS).where(KEYS.c.key_id.in_(key_ids)))]

    async def all(self) -> Sequence[Key]:
        """Oldest first."""
        query = select(KEYS).order_by(KEYS.c.created_us, KEYS.c.key_id)
        return [key_of(row) for row in await self._database.fetch(query)]

    async def revoke(self, key_id: str) -> bool:
        """From now on it opens nothing. False: there is no such key."""
        when = func.coalesce(KEYS.c.revoked_us, to_us(self._now()))
        return await self._database.execute(update(KEYS).where(KEYS.c.key_id == key_id).values(revoked_us=when)) > 0

    async def note_use(self, used: Mapping[str, datetime]) -> None:
        """When each of these keys was used last."""
        for key_id, when in used.items():
            statement = update(KEYS).where(KEYS.c.key_id == key_id).values(used_us=to_us(when))
            await self._database.execute(statement)


class SqlPasses:
    """Fulfils the port Passes on one database."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def keep(self, ticket: str, *, key_id: str | None, path: str, expires: datetime) -> bool:
        """A new pass that its ticket opens once. False: this key has too many."""
        await self._database.execute(delete(PASSES).where(PASSES.c.expires_us <= to_us(self._now())))
        counts = select(func.count().label("all"), func.count(PASSES.c.cookie).label("used"))
        held = (await self._database.fetch(counts.where(PASSES.c.key_id.is_not_distinct_from(key_id))))[0]
        if held.all - held.used >= _TICKETS_OF_A_KEY or held.all >= _PASSES_OF_A_KEY:
            return False
        values = {"ticket": fingerprint(ticket), "key_id": key_id, "path": path, "expires_us": to_us(expires)}
        await self._database.execute(insert(PASSES).values(values))
        return True

    async def exchange(self, ticket: str, *, cookie: str, path: str, expires: datetime) -> bool:
        """From now on the cookie opens it, and the ticket does not. False: the ticket opens nothing here any more."""
        # One statement: of two who come with the same ticket at once, one is let in.
        statement = (
            update(PASSES)
            .where(PASSES.c.ticket == fingerprint(ticket), PASSES.c.cookie.is_(None), self._is_good_for(path))
            .values(cookie=fingerprint(cookie), expires_us=to_us(expires))
        )
        return await self._database.execute(statement) > 0

    async def key_of(self, cookie: str, *, path: str) -> str | None:
        """Whose key a cookie stands for. None: it opens nothing here any more."""
        query = select(PASSES.c.key_id).where(PASSES.c.cookie == fingerprint(cookie), self._is_good_for(path))
        found = await self._database.fetch(query)
        return found[0][0] if found else None

    async def prolong(self, cookies: Collection[str], *, expires: datetime) -> None:
        """Keep these passes good for longer."""
        known = [fingerprint(cookie) for cookie in cookies]
        await self._database.execute(update(PASSES).where(PASSES.c.cookie.in_(known)).values(expires_us=to_us(expires)))

    def _is_good_for(self, path: str) -> ColumnElement[bool]:
        return and_(PASSES.c.path == path, PASSES.c.expires_us > to_us(self._now()))
