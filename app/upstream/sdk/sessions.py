"""Sessions of the SDK: each is one caller's, and is used by one thread at a time."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from app.domain.errors import GatewayError
from app.upstream.sdk.surface import Opened

log = logging.getLogger(__name__)

_KEPT = 64


class Sessions:
    """Opened as needed, and kept for the same caller's next call; one that failed is not used again."""

    def __init__(self, opened: Callable[[str], Opened], *, close: Callable[[Opened], None], kept: int = _KEPT) -> None:
        self._opened = opened
        self._close = close
        self._kept = kept
        self._idle: OrderedDict[str, list[Opened]] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def of(self, token: str) -> Iterator[Opened]:
        """A Session in the name of this token's user. To be called in the thread that uses it."""
        session = self._taken(token) or self._opened(token)
        left = [session]
        try:
            yield session
            left = self._given_back(token, session)
        except GatewayError:  # our own word for what the SDK answered: the Session did its part
            left = self._given_back(token, session)
            raise
        finally:
            for one in left:
                self._let_go(one)

    def close(self) -> None:
        """Those that are in use are closed as soon as they are not."""
        with self._lock:
            idle = [session for sessions in self._idle.values() for session in sessions]
            self._idle.clear()
            self._kept = 0
        for session in idle:
            self._let_go(session)

    def _taken(self, token: str) -> Opened | None:
        with self._lock:
            idle = self._idle.get(token)
            return idle.pop() if idle else None

    def _given_back(self, token: str, session: Opened) -> list[Opened]:
        """Keep it; the one that was not needed for longest, where that is one too many."""
        with self._lock:
            self._idle.setdefault(token, []).append(session)
            self._idle.move_to_end(token)
            if sum(map(len, self._idle.values())) <= self._kept:
                return []
            oldest = next(token for token, sessions in self._idle.items() if sessions)
            one = self._idle[oldest].pop(0)
            for empty in [token for token, sessions in self._idle.items() if not sessions]:
                del self._idle[empty]
            return [one]

    def _let_go(self, session: Opened) -> None:
        try:
            self._close(session)
        except Exception:  # whatever the SDK raises
            log.exception("session not closed")
