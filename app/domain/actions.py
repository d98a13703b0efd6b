"""Who did what: kept before it is done, and its outcome after."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec


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
    gateway died over it.
    """

    id: int
    when: datetime
    outcome: str | None


DONE = "done"
