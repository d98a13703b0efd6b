"""What the reference of `tripleblind.job` names without saying how it is used: replace this file where your SDK differs.

`GATEWAY_SDK_OPENING` names the module that has these functions. They are called in threads, one at a time for each
Session, and may raise whatever the SDK raises.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.jobs import Owner, Permission
from app.upstream.sdk.surface import Opened


def open_session(sdk: Any, token: str) -> Opened:
    """A Session of its own for the user of this token, and who that is, where the SDK can tell."""
    return Opened(session=sdk.Session(router_token=token))


def close_session(session: Any) -> None:
    """Let its connections go."""
    session.close()


def asset(sdk: Any, session: Any, named: str) -> Any:
    """The Asset of this UUID or `team/name`; None: there is none."""
    return sdk.Asset.find(named, session=session)


def asset_id(asset: Any) -> UUID:
    """Its UUID."""
    return UUID(str(asset.uuid))


def operation(sdk: Any, session: Any, named: str) -> Any:
    """The Operation of this name, or the trained model of this UUID; None: there is none."""
    try:
        UUID(named)
    except ValueError:
        return sdk.Operation(named)
    return asset(sdk, session, named)


def operation_name(operation: Any) -> str:
    """What a job runs: its name, or the UUID of a trained model."""
    return str(operation.name) if not hasattr(operation, "uuid") else str(operation.uuid)


def owner(job: Any) -> Owner:
    """Who started it."""
    return Owner(user=str(job.owner["user"]), team=str(job.owner["team"]))


def params(job: Any) -> object:
    """The parameters amongst its metadata."""
    return job.metadata["params"]


def permission(item: Any) -> Permission:
    """One of the permissions that a job waits for."""
    return Permission(
        asset_id=UUID(str(item["asset_id"])),
        asset=str(item["asset"]),
        team=str(item["team"]),
        since=datetime.fromisoformat(item["since"]),
    )
