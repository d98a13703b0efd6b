"""Whether the Router is in touch, since when not, and whose token we hold."""

from collections.abc import Callable
from datetime import datetime

from app.domain.ports import Router
from app.domain.reports import Me


class Contact:
    """One answer to "is what we show fresh?" for everybody who shows something."""

    def __init__(self, router: Router, *, now: Callable[[], datetime]) -> None:
        self._router = router
        self._now = now
        self._me: Me | None = None
        self._in_touch = False
        self.observed_at: datetime | None = None

    @property
    def stale(self) -> bool:
        """Whether the Router is away, so that what we know may have been overtaken."""
        return not self._in_touch

    async def me(self) -> Me:
        """Whose token we hold; asked once."""
        if self._me is None:
            self._me = await self._router.me()
        return self._me

    def heard(self) -> None:
        """The Router gave a sign of life."""
        self._in_touch = True
        self.observed_at = self._now()

    def lost(self) -> None:
        """The Router cannot be heard."""
        self._in_touch = False
