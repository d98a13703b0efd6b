"""The shape of what is asked of the SDK, and of the file that says what its reference leaves open."""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, cast
from uuid import UUID

from app.domain.errors import FeatureLacking
from app.domain.jobs import Owner, Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A Session of the SDK, and whose it is; None: it does not say."""

    session: Any
    user: str | None = None
    team: str | None = None


class Opening(Protocol):
    """As app/upstream/sdk/opening.py has it."""

    def open_session(self, sdk: Any, token: str) -> Opened: ...

    def close_session(self, session: Any) -> None: ...

    def asset(self, sdk: Any, session: Any, named: str) -> Any: ...

    def asset_id(self, asset: Any) -> UUID: ...

    def operation(self, sdk: Any, session: Any, named: str) -> Any: ...

    def operation_name(self, operation: Any) -> str: ...

    def owner(self, job: Any) -> Owner: ...

    def params(self, job: Any) -> object: ...

    def permission(self, item: Any) -> Permission: ...


_DOCUMENTED = ("Job", "RemoteStatusOutputStream", "create_job", "fetch_asset", "status_list")
_OPENING = tuple(name for name in vars(Opening) if not name.startswith("_"))


def loaded_sdk(name: str) -> ModuleType:
    """The SDK. Raises FeatureLacking, saying what to do."""
    return _loaded(name, _DOCUMENTED, setting="GATEWAY_SDK_MODULE", advice="Install the SDK beside the gateway")


def loaded_opening(name: str) -> Opening:
    """The file that opens a Session. Raises FeatureLacking, saying what to do."""
    advice = "See docs/sdk.md for what it must hold"
    return cast("Opening", _loaded(name, _OPENING, setting="GATEWAY_SDK_OPENING", advice=advice))


def _loaded(name: str, wanted: tuple[str, ...], *, setting: str, advice: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise FeatureLacking(f"{setting}={name} cannot be imported: {error}. {advice}.") from error
    missing = [one for one in wanted if not hasattr(module, one)]
    if missing:
        raise FeatureLacking(f"{setting}={name} lacks {', '.join(missing)}. {advice}.")
    return module
