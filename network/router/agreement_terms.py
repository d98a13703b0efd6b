"""From the body of a new agreement to terms worth keeping: everything is checked here, nothing is written."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from network import refusals
from network.clock import written
from network.protocols.catalogue import OPERATIONS
from network.router import assets


def _in_utc(given: datetime) -> datetime:
    try:
        return given.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("this time is out of the calendar") from exc


class NewAgreement(BaseModel):
    """The body of `POST /v1/agreements`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to_team: str
    asset_id: str | None = None
    asset_restricted: bool = True
    expiration: Annotated[AwareDatetime, AfterValidator(_in_utc)] | None = None
    run_limit: Annotated[int, Field(ge=1, le=2**53)] | None = None
    algorithm: str | None = None
    algorithm_security: Literal["smpc", "fed"] | None = None
    protocol: str | None = None


def checked(db: sqlite3.Connection, wanted: NewAgreement, *, team: str, teams: Sequence[str]) -> dict[str, Any]:
    """The terms, in ids and in our spelling of times; a refusal for what could never hold."""
    others = [other for other in teams if other != team]
    if wanted.to_team not in others:
        raise refusals.invalid("to_team", f"{wanted.to_team!r} is no other team of this network.", allowed=others)
    algorithm = _algorithm(db, wanted)
    return {
        "asset_id": _asset(db, wanted, team=team),
        "expiration": _expiration(wanted),
        "run_limit": wanted.run_limit,
        "algorithm": algorithm,
        "algorithm_security": algorithm and (wanted.algorithm_security or "smpc"),
        "protocol": wanted.protocol,
    }


def _asset(db: sqlite3.Connection, wanted: NewAgreement, *, team: str) -> str | None:
    if not wanted.asset_restricted:
        if wanted.asset_id is not None:
            detail = "An agreement about every asset names none; leave asset_id out, or asset_restricted true."
            raise refusals.invalid("asset_id", detail)
        return None
    if wanted.asset_id is None:
        detail = "Name the asset, or set asset_restricted to false: the agreement is then about every asset."
        raise refusals.invalid("asset_id", detail)
    asset = assets.resolve(db, wanted.asset_id)
    if asset is None or not asset["ready"] or asset["team"] != team:
        raise refusals.invalid(
            "asset_id", f"{team} has no asset {wanted.asset_id!r}; a team agrees about its own alone."
        )
    return str(asset["id"])


def _expiration(wanted: NewAgreement) -> str | None:
    if wanted.expiration is None:
        return None
    if wanted.expiration <= datetime.now(UTC):
        raise refusals.invalid("expiration", "This time is over; an agreement needs one to come, or null.")
    return written(wanted.expiration)


def _algorithm(db: sqlite3.Connection, wanted: NewAgreement) -> str | None:
    operations = list(OPERATIONS)
    if (wanted.algorithm is None) == (wanted.protocol is None):
        detail = "An agreement is about one algorithm or one protocol: give either, not both."
        raise refusals.invalid("protocol", detail, allowed=operations)
    if wanted.algorithm is None:
        if wanted.protocol not in OPERATIONS:
            raise refusals.invalid("protocol", f"There is no operation {wanted.protocol!r}.", allowed=operations)
        if wanted.algorithm_security is not None:
            raise refusals.invalid("algorithm_security", "This is said of an algorithm; a protocol has its own.")
        return None
    asset = assets.resolve(db, wanted.algorithm)
    if asset is None or not asset["ready"] or asset["kind"] != "model":
        raise refusals.invalid("algorithm", f"There is no algorithm asset (a trained model) {wanted.algorithm!r}.")
    return str(asset["id"])
