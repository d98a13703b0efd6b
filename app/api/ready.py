"""Answers that were made just now, told again to whoever asks the same while nothing has changed."""

from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import RIGHTS
from app.api.fresh import MADE, Made
from app.domain.access import MAY, Caller

_FOR_S = 1.0
_AT_MOST = 64
_LARGEST_BYTES = 256 * 1024

_Asked = tuple[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    made: Made
    route: Any
    path_params: dict[str, object]
    until_s: float


class ReadyAnswers:
    """The last of them. Whatever is written into the history ends them all; other processes may write there, so they end
    by themselves after a second.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._kept: OrderedDict[_Asked, _Kept] = OrderedDict()

    def changed(self) -> None:
        """Something was written down."""
        self.changes += 1
        self._kept.clear()

    def find(self, asked: _Asked) -> _Kept | None:
        """What was answered to this. None: it must be asked for anew."""
        kept = self._kept.get(asked)
        return kept if kept is not None and monotonic() < kept.until_s else None

    def keep(self, asked: _Asked, made: Made, scope: Scope) -> None:
        """What is answered from now on."""
        if len(made.body) > _LARGEST_BYTES:
            return
        self._kept[asked] = _Kept(
            made=made, route=scope["route"], path_params=scope["path_params"], until_s=monotonic() + _FOR_S
        )
        self._kept.move_to_end(asked)
        if len(self._kept) > _AT_MOST:
            self._kept.popitem(last=False)


class Ready:
    """Innermost: by here it is known who asks, and that they come from where they may."""

    def __init__(self, app: ASGIApp, *, answers: ReadyAnswers) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        asked = scope["path"], scope["query_string"]
        kept = self._answers.find(asked)
        if kept is not None and _may(scope["caller"], kept):
            scope["route"], scope["path_params"] = kept.route, kept.path_params
            await kept.made.answer(scope)(scope, receive, send)
            return
        changes = self._answers.changes
        await self._app(scope, receive, send)
        made = scope.get(MADE)
        # What changed while it was made may be in it or not.
        if made is not None and changes == self._answers.changes:
            self._answers.keep(asked, made, scope)


def _may(caller: Caller, kept: _Kept) -> bool:
    return caller.role in MAY[RIGHTS[kept.route.operation_id]]
