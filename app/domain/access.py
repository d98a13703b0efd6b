"""Who may do what. The table is the rule, written once; everything else asks it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.jobs import Job


class Role(StrEnum):
    """What a key is for."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    APPROVER = "approver"
    ADMIN = "admin"


class Right(StrEnum):
    """What a role may allow."""

    READ = "read"  # jobs, history, results, streams, assets, operations
    CREATE = "create"  # jobs, and the tables they are made of; and ask what a job would need
    STEER = "steer"  # submit, cancel and kill a job
    DECIDE = "decide"  # see and answer access requests, make and end agreements


class Reach(StrEnum):
    """How far a right goes."""

    OWN = "own"  # the jobs that the caller created
    ANY = "any"


MAY: Mapping[Right, Mapping[Role, Reach]] = {
    Right.READ: dict.fromkeys(Role, Reach.ANY),
    Right.CREATE: {Role.SUBMITTER: Reach.ANY, Role.ADMIN: Reach.ANY},
    Right.STEER: {Role.SUBMITTER: Reach.OWN, Role.ADMIN: Reach.ANY},
    Right.DECIDE: {Role.APPROVER: Reach.ANY, Role.ADMIN: Reach.ANY},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. `key_id` is None where no key was needed.

    `router_token` is the caller's own token at the Router, if one was given with the call, and `router_user` the user
    there whose it is; it is held for the length of the call and never written anywhere.
    """

    user: str
    role: Role
    key_id: str | None
    router_user: str | None = None
    router_token: str | None = field(default=None, repr=False)

    def created(self, job: Job) -> bool:
        """Whether it is the caller's own job: created through this gateway, or under the caller's own name there."""
        return self.user == job.created_by or (self.router_user is not None and self.router_user == job.owner.user)


LOCAL = Caller(user="local", role=Role.ADMIN, key_id=None)
