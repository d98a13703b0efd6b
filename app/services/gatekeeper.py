"""Lets callers in by their keys, browsers' streams by passes, and sends them away when the key is not valid any more."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.access import Caller
from app.domain.errors import GatewayError, KeyNotValid, NotAdmitted, TooManyAttempts
from app.domain.keys import Key, id_and_secret
from app.domain.ports import Keys, Passes
from app.services.hub import Visit

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_NOTE_USE_EVERY = timedelta(minutes=1)
_REFUSED_AT_ONCE = 100
_SECRET_BYTES = 32
TICKET_GOOD_FOR = timedelta(minutes=1)
# For as long as nobody listens: a browser that was cut off comes back within seconds.
PASS_GOOD_FOR = timedelta(minutes=15)
_PROLONG_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Good for one path, once."""

    text: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A caller let in by a pass. `is_new`: by its ticket, so that the browser has yet to be told the cookie."""

    caller: Caller
    cookie: str
    is_new: bool


class Gatekeeper:
    """Knows valid keys from others. Refusals are slowed, the valid never are."""

    def __init__(self, keys: Keys, passes: Passes, *, now: Callable[[], datetime], refusal_pause_s: float) -> None:
        self._keys = keys
        self._passes = passes
        self._now = now
        self._refusal_pause_s = refusal_pause_s
        self._being_refused = 0
        self._visits: dict[Visit, tuple[str, str | None]] = {}
        self._used: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}
        self._prolonged = now()

    async def warn_if_locked(self) -> None:
        """Say so where nobody can come in."""
        now = self._now()
        if not any(key.is_valid(now=now) for key in await self._keys.all()):
            log.warning("no key is valid", extra={"do": "gateway key create USER --role admin"})

    async def caller(self, text: str) -> Caller:
        """Whose key this is. Raises KeyNotValid, after a pause."""
        key_id, secret = id_and_secret(text)
        key = await self._keys.key(key_id) if key_id else None
        if key is None:
            raise await self._refusal(None, "unknown")
        if not key.opens_with(secret):
            raise await self._refusal(key_id, "wrong secret")
        return await self._let_in(key)

    async def ticket(self, by: Caller, *, path: str) -> Ticket:
        """A ticket for the stream at this path. Raises TooManyAttempts when the caller holds too many."""
        text, expires = secrets.token_urlsafe(_SECRET_BYTES), self._now() + TICKET_GOOD_FOR
        if not await self._passes.keep(text, key_id=by.key_id, path=path, expires=expires):
            raise TooManyAttempts("This key holds too many stream tickets; wait until they expire.")
        return Ticket(text=text, expires=expires)

    async def passed(self, *, path: str, ticket: str | None, cookie: str | None) -> Passed:
        """Who comes with this ticket for the first time, or else with this cookie. Raises KeyNotValid, after a pause.

        A fresh ticket speaks before a cookie, which may be that of whoever used this browser before; a browser that
        reconnects by itself shows one that is used up.
        """
        expires = self._now() + PASS_GOOD_FOR
        fresh = secrets.token_urlsafe(_SECRET_BYTES)
        is_new = ticket is not None and await self._passes.exchange(ticket, cookie=fresh, path=path, expires=expires)
        held = fresh if is_new else cookie
        key_id = None if held is None else await self._passes.key_of(held, path=path)
        if held is None or key_id is None:
            raise await self._refusal(None, "stream pass")
        caller = await self._holder(key_id)
        await self._passes.prolong([held], expires=expires)
        return Passed(caller=caller, cookie=held, is_new=is_new)

    @contextmanager
    def visiting(
        self, caller: Caller, *, cookie: str | None, leave: Callable[[], None] | None = None
    ) -> Iterator[Visit]:
        """A stay that ends when the caller's key does; as long as it lasts the pass stays good.

        `leave` is called when it is ended here.
        """
        visit = Visit(leave)
        if caller.key_id is not None:
            self._visits[visit] = (caller.key_id, cookie)
        try:
            yield visit
        finally:
            self._visits.pop(visit, None)

    async def watch(self) -> None:
        """End the stays of those whose key ceased to be valid, for ever. Keys are revoked by another process."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await self.look()
            except GatewayError as error:
                log.warning("keys out of reach", extra={"why": str(error)})
            except Exception:
                # Whatever is wrong with one look, the next must come.
                log.exception("keys not looked at")

    async def look(self) -> None:
        """Look once. What is only for the record comes last: where it cannot be written, keys count all the same."""
        if self._visits:
            await self._look_at_visits()
        await self._note_use()

    async def _look_at_visits(self) -> None:
        now = self._now()
        visits = dict(self._visits)  # as they are now: who comes while the keys are read has just shown a valid one
        held = {key_id for key_id, _ in visits.values()}
        valid = {key.id for key in await self._keys.some(held) if key.is_valid(now=now)}
        for visit, (key_id, _) in visits.items():
            if key_id not in valid and not visit.over:
                log.info("stream ended with its key", extra={"key": key_id})
                visit.end()
        if now - self._prolonged >= _PROLONG_EVERY:
            cookies = {cookie for _, cookie in self._visits.values() if cookie is not None}
            await self._passes.prolong(cookies, expires=now + PASS_GOOD_FOR)
            self._prolonged = now

    async def _holder(self, key_id: str) -> Caller:
        key = await self._keys.key(key_id)
        if key is None:
            raise await self._refusal(None, "stream pass")
        return await self._let_in(key)

    async def _let_in(self, key: Key) -> Caller:
        now = self._now()
        if not key.is_valid(now=now):
            raise await self._refusal(key.id, "expired" if key.revoked is None else "revoked")
        self._used[key.id] = now
        return key.caller

    async def _refusal(self, key_id: str | None, why: str) -> NotAdmitted:
        if self._being_refused >= _REFUSED_AT_ONCE:
            return TooManyAttempts("Too many invalid keys at a time; try again later.")
        log.warning("key refused", extra={"key": key_id, "why": why})
        self._being_refused += 1
        try:
            await asyncio.sleep(self._refusal_pause_s)
        finally:
            self._being_refused -= 1
        return KeyNotValid(
            "This key, ticket or cookie is not valid (any more). Ask for a key: `gateway key create` makes one."
        )

    async def _note_use(self) -> None:
        due = {
            key_id: when
            for key_id, when in self._used.items()
            if key_id not in self._noted or when - self._noted[key_id] >= _NOTE_USE_EVERY
        }
        await self._keys.note_use(due)
        self._noted |= due
