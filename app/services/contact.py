"""Whether the Router is in touch, since when not, whose token we hold, and whose a caller's own is."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from app.domain.access import Caller
from app.domain.errors import RouterTokenRefused
from app.domain.keys import fingerprint
from app.domain.ports import Router
from app.domain.reports import Me

_USERS_KNOWN = 1_000


class Contact:
    """One answer to "is what we show fresh?" for everybody who shows something."""

    def __init__(self, router: Router, *, now: Callable[[], datetime]) -> None:
        self._router = router
        self._now = now
        self._me: Me | None = None
        self._users: dict[str, str] = {}
        self._touched = asyncio.Event()
        self.observed_at: datetime | None = None

    @property
    def stale(self) -> bool:
        """Whether the Router is away, so that what we know may have been overtaken."""
        return not self._touched.is_set()

    async def in_touch(self) -> None:
        """Wait until the Router is in touch."""
        await self._touched.wait()

    async def me(self) -> Me:
        """Whose token we hold; asked once."""
        if self._me is None:
            self._me = await self._router.me()
        return self._me

    async def as_self(self, caller: Caller, token: str) -> Caller:
        """The caller with a Router token of their own. Raises RouterTokenRefused for another team's.

        Whose it is, is asked once; that it is still good, the Router looks at whenever it is used.
        """
        known = fingerprint(token)
        if known not in self._users:
            team = (await self.me()).team
            user = await self._router.acting_as(token).me()
            if user.team != team:
                detail = f"The token in Router-Authorization belongs to another team; this gateway serves {team}."
                raise RouterTokenRefused(detail)
            if len(self._users) >= _USERS_KNOWN:
                self._users.clear()
            self._users[known] = user.user
        return replace(caller, router_user=self._users[known], router_token=token)

    def heard(self) -> None:
        """The Router gave a sign of life, and what it has told is all there was."""
        self._touched.set()
        self.observed_at = self._now()

    def lost(self) -> None:
        """The Router cannot be heard."""
        self._touched.clear()
