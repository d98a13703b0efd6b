"""Who did what: kept before it is done, and its outcome after."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from app.domain.errors import Garbled, GatewayError, StoreAway, Unanswered
from app.domain.jobs import Stop, StopAnswer
from app.domain.phases import OF_MARKET_STATUS, Phase
from app.domain.reports import JobReport, Me


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

    `client_ref` is what a create tells the Router, so that the job is known again however the answer comes.
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

# What brings a job to a phase.
_LEADS_TO: Mapping[Phase, frozenset[Verb]] = {
    Phase.CREATED: frozenset({Verb.CREATE}),
    Phase.WAITING_ON_PERMISSION: frozenset({Verb.SUBMIT}),
    Phase.WAITING_ON_QUEUE: frozenset({Verb.SUBMIT, Verb.ACCEPT}),
    Phase.STOPPING: frozenset({Verb.KILL}),
    Phase.KILLED: frozenset({Verb.KILL}),
    Phase.CANCELLED: frozenset({Verb.CANCEL}),
    Phase.DENIED: frozenset({Verb.DENY}),
}
# After these it may have been done all the same.
_PERHAPS_DONE = frozenset({None, DONE, Unanswered.code, Garbled.code, StoreAway.code, GatewayError.code})


def asked_by(actions: Sequence[Action], report: JobReport, me: Me) -> str | None:
    """Which caller's action, of those about a job, brought it to where the Router says it is. None: nobody's here.

    The gateway acts as `me` wherever a caller has no Router token of their own.
    """
    if report.actor is not None and report.actor.team != me.team:
        return None
    phase = OF_MARKET_STATUS.get(report.market_status)
    verbs = _LEADS_TO.get(phase, frozenset()) if phase is not None else frozenset()
    fitting = [
        action.user
        for action in actions
        if action.verb in verbs
        and action.outcome in _PERHAPS_DONE
        and (report.actor is None or report.actor.user == (action.router_user or me.user))
    ]
    if not fitting:
        return None
    # Of two kills the first had the effect; of permissions the last one frees the job.
    return fitting[-1] if phase is Phase.WAITING_ON_QUEUE else fitting[0]


def has_stopped(action: Action, stop: Stop) -> bool:
    """Whether this is, as far as can be known, a request for what took effect; of two kills both are."""
    return action.verb == stop.wanted and action.outcome in _PERHAPS_DONE
