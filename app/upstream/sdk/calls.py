"""One call of the SDK: in a thread, with a Session of the caller's, and with our words for what goes wrong."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from app.domain.errors import GatewayError, Unanswered, Unreachable
from app.upstream.sdk.sessions import Sessions
from app.upstream.sdk.surface import Opened, Opening
from app.upstream.sdk.threads import NotBegun, NotDone, Threads

T = TypeVar("T")

_SAID_AT_MOST = 500


class Calls:
    """All calls in the name of one token."""

    def __init__(
        self, *, sdk: ModuleType, opening: Opening, sessions: Sessions, threads: Threads, streams: Threads, token: str
    ) -> None:
        """`threads` are for calls that end soon, `streams` for those that last as long as a job or a download."""
        self.sdk: Any = sdk
        self.opening = opening
        self._sessions = sessions
        self._streams = streams
        self._token = token
        self._threads = threads

    def acting_as(self, token: str) -> "Calls":
        """The same in another's name."""
        return Calls(
            sdk=self.sdk,
            opening=self.opening,
            sessions=self._sessions,
            threads=self._threads,
            streams=self._streams,
            token=token,
        )

    async def read(self, look: Callable[[Opened], T]) -> T:
        """What the SDK answers. Raises Unreachable."""
        return await self._read(self._threads, look, within_s=None)

    async def stream(self, read: Callable[[Opened], T], *, within_s: float) -> T:
        """The same for what lasts."""
        return await self._read(self._streams, read, within_s=within_s)

    async def write(self, do: Callable[[Opened], T]) -> T:
        """What the SDK answers. Raises Unreachable where it was surely not asked, Unanswered where that is unknown."""
        try:
            return await self._threads.call(lambda: self._with_session(do))
        except NotBegun as error:
            raise Unreachable("All calls of the SDK are under way; try again later.") from error
        except NotDone as error:
            raise Unanswered(
                "The SDK did not return in time: whether the Router received the request is unknown. Look before you "
                "repeat it."
            ) from error
        except GatewayError:
            raise
        except Exception as error:
            raise Unanswered(
                "The SDK raised an error, and does not tell a refusal from a lost answer: whether it was done is unknown. "
                f"Look before you repeat it. It said {self._sentence(error)}"
            ) from error

    async def _read(self, threads: Threads, look: Callable[[Opened], T], *, within_s: float | None) -> T:
        try:
            return await threads.call(lambda: self._with_session(look), within_s=within_s)
        except (NotBegun, NotDone) as error:
            raise Unreachable("The SDK did not answer in time; try again later.") from error
        except GatewayError:
            raise
        except Exception as error:
            raise Unreachable(f"The SDK could not ask the Router: {self._sentence(error)}") from error

    def _with_session(self, work: Callable[[Opened], T]) -> T:
        with self._sessions.of(self._token) as opened:
            return work(opened)

    def _sentence(self, error: BaseException) -> str:
        """What the SDK says of it, which may name the token."""
        return f"{type(error).__name__}: {error}".replace(self._token, "…")[:_SAID_AT_MOST]
