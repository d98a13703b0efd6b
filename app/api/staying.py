"""Answers that go on for hours after everything that led to them has returned, so that a thousand of them cost little."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from starlette.types import ASGIApp, Receive, Scope, Send

_STAY = "stay"
_NEEDED = frozenset({"type", "method", "path", _STAY})  # by the server


class Stay:
    """What goes on with a connection. Whatever is to be done when that is over, `over` does."""

    def __init__(self, serve: Callable[[], Awaitable[None]], over: ExitStack) -> None:
        self.over = over
        self._serve = serve

    async def __call__(self) -> None:
        """Return when it is over."""
        with self.over:
            await self._serve()


def stay(scope: Scope, serve: Callable[[], Awaitable[None]], *, over: ExitStack) -> None:
    """Go on with this connection once the application has returned. Only where it is served by `staying`."""
    scope[_STAY] = Stay(serve, over)


def stay_of(scope: Scope) -> Stay | None:
    """What goes on. None: the answer is complete when the application has returned."""
    return scope.get(_STAY)


def staying(app: ASGIApp) -> ASGIApp:
    """The outermost: it lets go of all that the application knew of the request, and then goes on."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except BaseException:
            if going_on := stay_of(scope):
                going_on.over.close()
            raise
        if going_on := stay_of(scope):
            for name in scope.keys() - _NEEDED:
                del scope[name]
            await going_on()

    return served
