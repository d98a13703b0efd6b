"""Who may speak at the Router: in each team an owner and a member, each with a token of their own."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from network import passes
from network.settings import TEAMS, User

OWNER, MEMBER = "owner", "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user together with the token, which only `network.json` and its reader hold."""

    user: str
    team: str
    role: str
    token: str = field(repr=False)

    @property
    def known(self) -> User:
        """As the Router knows it: by the fingerprint of the token."""
        return User(user=self.user, team=self.team, role=self.role, token_sha256=passes.fingerprint(self.token))


def accounts(listing: Mapping[str, Any]) -> tuple[Account, ...]:
    """Everybody: with the token that `network.json` had for them before, else with a new one."""
    kept = {entry["user"]: entry["token"] for entry in listing.get("users", [])}
    # The teams' tokens have been there longer than the users, so they stand.
    kept |= {f"{OWNER}@{team}": token for team, token in listing.get("tokens", {}).items()}
    return tuple(_account(f"{role}@{team}", team, role, kept) for team in TEAMS for role in (OWNER, MEMBER))


def owners(everybody: tuple[Account, ...]) -> dict[str, str]:
    """Each team's owner's token."""
    return {account.team: account.token for account in everybody if account.role == OWNER}


def _account(user: str, team: str, role: str, kept: Mapping[str, str]) -> Account:
    return Account(user=user, team=team, role=role, token=kept.get(user) or secrets.token_urlsafe(24))
