"""Who did what: kept before it is done, and its outcome after."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from app.domain.jobs import Stop, StopAnswer
from app.domain.reports import Act


class Verb(StrEnum):
    """What was done."""

    CREATE = "create"
    SUBMIT = "submit"
    CANCEL = "cancel"
    KILL = "kill"
    ACCEPT = "accept"
    DENY = "deny"
    UPLOAD = "upload"
    AGREE = "agree"
    END_AGREEMENT = "end_agreement"


class NewAction(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is about to be done. `router_user`: under the caller's own name at the Router.

    `client_ref` is what the Router is told, so that a created job is known again however the answer comes, and so is who
    did what.
    """

    verb: Verb
    user: str
    key_id: str | None
    router_user: str | None
    job_id: UUID | None = None
    asset_id: UUID | None = None
    client_ref: str | None = None
    reason: str | None = None


class Action(NewAction, frozen=True, kw_only=True):
    """The same, as it was kept. `outcome`: `done`, or the code of the problem; None while it is under way, or if the
    gateway died over it. `answers` are what the Access Points said to a cancel or kill that was refused.
    """

    id: int
    when: datetime
    outcome: str | None
    answers: tuple[StopAnswer, ...] = ()


DONE = "done"


def asked_by(actions: Sequence[Action], act: Act | None) -> str | None:
    """Which caller's action the Router speaks of. None: nobody's here.

    By the name that the action was given, and by nothing else: several callers may act as one user at the Router, ask
    for the same at the same time, and only one of them has it done.
    """
    if act is None or act.client_ref is None:
        return None
    return next((action.user for action in actions if action.client_ref == act.client_ref), None)


def has_stopped(action: Action, stop: Stop) -> bool:
    """Whether the Access Points' answers are answers to this: it was done, or is under way; of two kills both are."""
    return action.verb == stop.wanted and action.outcome in (None, DONE)
