"""Whether the Router is in touch, and whose a caller's own Router token is."""

import pytest

from app.domain.access import LOCAL, Caller, Role
from app.domain.errors import RouterTokenRefused, Unreachable
from app.domain.reports import Me
from app.services.contact import _USERS_KNOWN, Contact
from tests.support.fakes import FakeRouter
from tests.support.news import NOON

ANN = Caller(user="ann", role=Role.SUBMITTER, key_id="0123456789ab")
MEMBERS = "the-token-of-member@globex"
MERCYS = "the-token-of-mercy"


class AskedRouter(FakeRouter):
    """Writes down who was looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str | None] = []
        self.users = {
            MEMBERS: Me(user="member@globex", team="globex", role="member", epoch="router"),
            MERCYS: Me(user="owner@mercy", team="mercy", role="owner", epoch="router"),
        }

    async def me(self) -> Me:
        """As ever."""
        self.asked.append(self._token)
        return await super().me()


@pytest.fixture
def router() -> AskedRouter:
    return AskedRouter()


@pytest.fixture
def contact(router: AskedRouter) -> Contact:
    return Contact(router, now=lambda: NOON)


async def test_a_token_of_ones_own_makes_a_caller_a_user_of_the_router(contact: Contact) -> None:
    """Name, role and key stay what they are here."""
    caller = await contact.as_self(ANN, MEMBERS)

    assert (caller.user, caller.role, caller.key_id) == ("ann", Role.SUBMITTER, "0123456789ab")
    assert (caller.router_user, caller.router_token) == ("member@globex", MEMBERS)


async def test_whose_a_token_is_gets_asked_once(contact: Contact, router: AskedRouter) -> None:
    """It does not change, and every call would take twice as long."""
    await contact.as_self(ANN, MEMBERS)
    again = await contact.as_self(LOCAL, MEMBERS)

    assert again.router_user == "member@globex"
    assert router.asked == [None, MEMBERS]


async def test_a_token_of_another_team_is_refused_each_time(contact: Contact) -> None:
    """One gateway, one team: its history is that team's."""
    for _ in range(2):
        with pytest.raises(RouterTokenRefused, match="another team; this gateway serves globex"):
            await contact.as_self(ANN, MERCYS)


async def test_a_token_that_the_router_does_not_know_is_refused_each_time(
    contact: Contact, router: AskedRouter
) -> None:
    """It is not remembered as good, and becomes good where the Router learns of it."""
    for _ in range(2):
        with pytest.raises(RouterTokenRefused):
            await contact.as_self(ANN, "made-tomorrow")

    router.users["made-tomorrow"] = Me(user="new@globex", team="globex", role="member", epoch="router")
    assert (await contact.as_self(ANN, "made-tomorrow")).router_user == "new@globex"


async def test_nothing_is_taken_for_granted_while_the_router_is_away(contact: Contact, router: AskedRouter) -> None:
    """It is the only one who knows."""
    router.away = True
    with pytest.raises(Unreachable):
        await contact.as_self(ANN, MEMBERS)

    router.away = False
    assert (await contact.as_self(ANN, MEMBERS)).router_user == "member@globex"


async def test_no_token_is_remembered(contact: Contact) -> None:
    """Its fingerprint tells it from others; what lies in memory ends in core dumps."""
    caller = await contact.as_self(ANN, MEMBERS)

    assert MEMBERS not in repr(vars(contact))
    assert MEMBERS not in repr(caller)


async def test_how_many_are_remembered_is_bounded(contact: Contact, router: AskedRouter) -> None:
    """Whoever sends ever new tokens does not fill the memory; one that was forgotten is asked for again."""
    for number in range(_USERS_KNOWN + 1):
        router.users[f"token-{number}"] = Me(user=f"user-{number}", team="globex", role="member", epoch="router")
        await contact.as_self(ANN, f"token-{number}")

    assert len(contact._users) <= _USERS_KNOWN
    assert (await contact.as_self(ANN, "token-0")).router_user == "user-0"


async def test_what_is_shown_is_stale_until_the_router_is_heard_and_once_it_is_lost(contact: Contact) -> None:
    """When it was heard last stays known."""
    at_first = contact.stale, contact.observed_at
    contact.heard()
    in_touch = contact.stale, contact.observed_at
    contact.lost()

    assert at_first == (True, None)
    assert in_touch == (False, NOON)
    assert (contact.stale, contact.observed_at) == (True, NOON)
