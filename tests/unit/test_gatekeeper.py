"""Who is let in, for how long, and how those who are not are kept from trying."""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from app.domain.access import LOCAL, Caller, Role
from app.domain.errors import KeyNotValid, StoreAway, TooManyAttempts
from app.domain.keys import Key, new_key
from app.services import gatekeeper as module_under_test
from app.services.gatekeeper import Gatekeeper
from tests.support.fakes import FakeKeys, FakePasses, until
from tests.support.news import NOON

LONG_S = 30.0
A_SECOND = timedelta(seconds=1)
A_MINUTE = timedelta(minutes=1)
PATH, OTHER_PATH = "/v1/events", "/v1/jobs/1/events"


class House:
    """A gatekeeper, what it keeps, and the clock it goes by."""

    def __init__(self, *, refusal_pause_s: float = 0.0) -> None:
        self.now = NOON
        self.keys = FakeKeys()
        self.passes = FakePasses(now=self.clock)
        self.gatekeeper = Gatekeeper(self.keys, self.passes, now=self.clock, refusal_pause_s=refusal_pause_s)

    def clock(self) -> datetime:
        """Stands still until it is moved."""
        return self.now

    async def key(self, user: str = "sam", *, expires: datetime | None = None) -> tuple[Key, str]:
        """A new key and its text."""
        key, text = new_key(user, Role.SUBMITTER, now=self.now, expires=expires)
        await self.keys.keep(key)
        return key, text


@pytest.fixture
def house() -> House:
    return House()


async def refused(attempt: Awaitable[object]) -> None:
    with pytest.raises(KeyNotValid):
        await attempt


async def let_in_by_ticket(house: House, key: Key) -> str:
    """The cookie that the ticket was exchanged for."""
    ticket = await house.gatekeeper.ticket(key.caller, path=PATH)
    return (await house.gatekeeper.passed(path=PATH, ticket=ticket.text, cookie=None)).cookie


# Keys


async def test_a_valid_key_says_whose_it_is(house: House) -> None:
    """The user, the role, and which of their keys."""
    key, text = await house.key("sam")

    assert await house.gatekeeper.caller(text) == Caller(user="sam", role=Role.SUBMITTER, key_id=key.id)


async def test_a_valid_key_is_never_kept_waiting() -> None:
    """The pause would be an hour."""
    house = House(refusal_pause_s=3600)
    _, text = await house.key()

    async with asyncio.timeout(LONG_S):
        await house.gatekeeper.caller(text)


async def test_unknown_wrong_revoked_and_expired_are_refused_in_the_same_words(house: House) -> None:
    """Which of these it is would help whoever guesses."""
    key, text = await house.key()
    revoked, revoked_text = await house.key()
    _, expired_text = await house.key(expires=NOON)
    await house.keys.revoke(revoked.id)

    told = set()
    for attempt in ("", "nonsense", "tbg__x", "tbg_0_x", f"tbg_{key.id}_wrong", text[:-1], revoked_text, expired_text):
        with pytest.raises(KeyNotValid) as refusal:
            await house.gatekeeper.caller(attempt)
        told.add((refusal.value.detail, refusal.value.code, *refusal.value.facts))

    assert len(told) == 1


async def test_the_log_says_why_and_never_what_was_sent(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """An operator is asked `why can I not get in`; the log is read by many."""
    caplog.set_level(logging.INFO, logger="app")
    key, text = await house.key()
    _, expired_text = await house.key(expires=NOON)

    for attempt in ("tbg_0_s3cret", f"tbg_{key.id}_s3cret", expired_text):
        await refused(house.gatekeeper.caller(attempt))

    assert [record.__dict__["why"] for record in caplog.records] == ["unknown", "wrong secret", "expired"]
    written = " ".join(str(record.__dict__) for record in caplog.records)
    assert [secret for secret in ("s3cret", text, expired_text) if secret in written] == []


async def test_a_key_expires_at_its_moment(house: House) -> None:
    """Not a second later."""
    _, text = await house.key(expires=NOON + A_SECOND)
    house.now = NOON + A_SECOND - timedelta(microseconds=1)
    await house.gatekeeper.caller(text)

    house.now = NOON + A_SECOND

    await refused(house.gatekeeper.caller(text))


# Refusals


async def test_a_refusal_takes_its_time_and_nobody_elses() -> None:
    """Guessing is slow, for the guesser alone."""
    house = House(refusal_pause_s=LONG_S)
    _, text = await house.key()

    guess = asyncio.create_task(refused(house.gatekeeper.caller("tbg_0_x")))
    await until(lambda: house.gatekeeper._being_refused == 1)
    caller = await house.gatekeeper.caller(text)

    assert (caller.user, guess.done()) == ("sam", False)
    await cancelled(guess)


async def test_only_so_many_are_kept_waiting_at_a_time() -> None:
    """Each that waits holds a connection; the valid get through all the same."""
    house = House(refusal_pause_s=LONG_S)
    _, text = await house.key()
    most = module_under_test._REFUSED_AT_ONCE
    guesses = [asyncio.create_task(house.gatekeeper.caller("tbg_0_x")) for _ in range(most)]
    await until(lambda: house.gatekeeper._being_refused == most)

    with pytest.raises(TooManyAttempts):
        await house.gatekeeper.caller("tbg_0_x")

    assert (await house.gatekeeper.caller(text)).user == "sam"
    await cancelled(*guesses)


async def test_who_gives_up_waiting_makes_room() -> None:
    """Or a flood would leave the door shut for ever."""
    house = House(refusal_pause_s=LONG_S)
    guess = asyncio.create_task(house.gatekeeper.caller("tbg_0_x"))
    await until(lambda: house.gatekeeper._being_refused == 1)

    await cancelled(guess)

    assert house.gatekeeper._being_refused == 0


async def cancelled(*tasks: asyncio.Task[object] | asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


# Tickets and cookies


async def test_a_ticket_lets_in_once_and_its_cookie_from_then_on(house: House) -> None:
    """EventSource comes back by itself with the ticket that it has used up."""
    key, _ = await house.key("sam")
    ticket = await house.gatekeeper.ticket(key.caller, path=PATH)

    first = await house.gatekeeper.passed(path=PATH, ticket=ticket.text, cookie=None)
    again = await house.gatekeeper.passed(path=PATH, ticket=ticket.text, cookie=first.cookie)

    assert (first.is_new, again.is_new) == (True, False)
    assert first.caller == again.caller == key.caller
    assert again.cookie == first.cookie != ticket.text
    await refused(house.gatekeeper.passed(path=PATH, ticket=ticket.text, cookie=None))


async def test_a_ticket_is_good_for_its_path_alone(house: House) -> None:
    """Whoever may see one job's stream has not asked for another's."""
    key, _ = await house.key()
    ticket = await house.gatekeeper.ticket(key.caller, path=PATH)

    await refused(house.gatekeeper.passed(path=OTHER_PATH, ticket=ticket.text, cookie=None))

    cookie = (await house.gatekeeper.passed(path=PATH, ticket=ticket.text, cookie=None)).cookie
    await refused(house.gatekeeper.passed(path=OTHER_PATH, ticket=None, cookie=cookie))


async def test_a_ticket_is_good_for_a_minute(house: House) -> None:
    """It stands in an address, and addresses are written down in many places."""
    key, _ = await house.key()
    ticket = await house.gatekeeper.ticket(key.caller, path=PATH)
    assert ticket.expires == NOON + A_MINUTE

    house.now = ticket.expires

    await refused(house.gatekeeper.passed(path=PATH, ticket=ticket.text, cookie=None))


async def test_a_ticket_is_no_cookie_and_a_cookie_no_ticket(house: House) -> None:
    """What was seen in an address must not do what the cookie does."""
    key, _ = await house.key()
    cookie = await let_in_by_ticket(house, key)
    ticket = await house.gatekeeper.ticket(key.caller, path=PATH)

    await refused(house.gatekeeper.passed(path=PATH, ticket=None, cookie=ticket.text))
    await refused(house.gatekeeper.passed(path=PATH, ticket=cookie, cookie=None))


async def test_a_ticket_or_cookie_goes_with_its_key(house: House) -> None:
    """Revoked or expired: what was got with it is worth nothing."""
    revoked, _ = await house.key()
    expired, _ = await house.key(expires=NOON + A_SECOND)
    cookies = [await let_in_by_ticket(house, key) for key in (revoked, expired)]
    tickets = [await house.gatekeeper.ticket(key.caller, path=PATH) for key in (revoked, expired)]

    await house.keys.revoke(revoked.id)
    house.now += A_SECOND

    for cookie, ticket in zip(cookies, tickets, strict=True):
        await refused(house.gatekeeper.passed(path=PATH, ticket=None, cookie=cookie))
        await refused(house.gatekeeper.passed(path=PATH, ticket=ticket.text, cookie=None))


async def test_a_new_ticket_lets_in_who_still_has_the_cookie_of_a_revoked_key(house: House) -> None:
    """A new key was handed out; the browser cannot drop the cookie of the old one by itself."""
    old, _ = await house.key("sam")
    cookie = await let_in_by_ticket(house, old)
    await house.keys.revoke(old.id)
    new, _ = await house.key("sam")

    ticket = await house.gatekeeper.ticket(new.caller, path=PATH)
    passed = await house.gatekeeper.passed(path=PATH, ticket=ticket.text, cookie=cookie)

    assert passed.caller == new.caller


async def test_a_ticket_made_without_keys_opens_nothing_where_keys_are_asked_for(house: House) -> None:
    """The gateway was started again with GATEWAY_AUTH=key."""
    ticket = await house.gatekeeper.ticket(LOCAL, path=PATH)

    await refused(house.gatekeeper.passed(path=PATH, ticket=ticket.text, cookie=None))


async def test_too_many_tickets_are_refused(house: House) -> None:
    """Another key's holder is not concerned."""
    key, _ = await house.key()
    other, _ = await house.key()
    for _ in range(house.passes.most):
        await house.gatekeeper.ticket(key.caller, path=PATH)

    with pytest.raises(TooManyAttempts):
        await house.gatekeeper.ticket(key.caller, path=PATH)

    await house.gatekeeper.ticket(other.caller, path=PATH)


async def test_a_pass_is_good_for_as_long_as_its_stream_is_open_and_a_while_after(house: House) -> None:
    """Hours later a cut is still mended without the page; after an hour without a stream it is not."""
    key, _ = await house.key()
    cookie = await let_in_by_ticket(house, key)

    with house.gatekeeper.visiting(key.caller, cookie=cookie):
        for _ in range(100):
            house.now += A_MINUTE
            await house.gatekeeper.look()
    house.now += timedelta(minutes=9)
    await house.gatekeeper.passed(path=PATH, ticket=None, cookie=cookie)
    house.now += timedelta(minutes=15)

    await refused(house.gatekeeper.passed(path=PATH, ticket=None, cookie=cookie))


# Visits


async def test_a_visit_ends_with_its_key_and_others_go_on(house: House) -> None:
    """Revoked by another process: nobody tells us, so we look."""
    revoked, expired, staying = [(await house.key())[0] for _ in range(3)]
    await house.keys.keep(replace(expired, expires=NOON + A_SECOND))
    with ExitStack() as stack:
        visits = [
            stack.enter_context(house.gatekeeper.visiting(key.caller, cookie=None))
            for key in (revoked, revoked, expired, staying)
        ]
        stack.enter_context(house.gatekeeper.visiting(LOCAL, cookie=None))
        await house.gatekeeper.look()
        before = [visit.over for visit in visits]

        await house.keys.revoke(revoked.id)
        house.now += A_SECOND
        await house.gatekeeper.look()

        assert (before, [visit.over for visit in visits]) == ([False] * 4, [True, True, True, False])
        assert await visits[0].bell.rings(within_s=LONG_S)


async def test_a_visit_ends_with_its_key_though_nothing_can_be_written(house: House) -> None:
    """A full disk must not keep anybody's door open."""
    key, _ = await house.key()
    with house.gatekeeper.visiting(key.caller, cookie=None) as visit:
        await house.keys.revoke(key.id)
        house.keys.full = True

        with pytest.raises(StoreAway):
            await house.gatekeeper.look()

        assert visit.over


async def test_who_comes_while_the_keys_are_looked_at_stays(house: House) -> None:
    """That key was shown a moment ago; the look did not ask for it."""
    early, late = [(await house.key())[0] for _ in range(2)]
    house.keys.read.clear()
    with house.gatekeeper.visiting(early.caller, cookie=None):
        looking = asyncio.create_task(house.gatekeeper.look())
        await asyncio.sleep(0)
        with house.gatekeeper.visiting(late.caller, cookie=None) as visit:
            house.keys.read.set()
            await looking

            assert not visit.over


async def test_the_end_of_a_visit_is_told_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """A viewer that does not read is not gone at once; a line a second would bury what matters."""
    caplog.set_level(logging.INFO, logger="app")
    key, _ = await house.key()
    with house.gatekeeper.visiting(key.caller, cookie=None):
        await house.keys.revoke(key.id)

        for _ in range(3):
            await house.gatekeeper.look()

    assert [record.getMessage() for record in caplog.records] == ["stream ended with its key"]


async def test_a_visit_that_is_over_is_forgotten(house: House) -> None:
    """However it ended."""
    key, _ = await house.key()

    with pytest.raises(RuntimeError), house.gatekeeper.visiting(key.caller, cookie=None):
        raise RuntimeError

    assert house.gatekeeper._visits == {}


async def test_visits_go_on_while_the_keys_cannot_be_read(house: House) -> None:
    """A disk that hiccups is no revocation."""
    key, _ = await house.key()

    with house.gatekeeper.visiting(key.caller, cookie=None) as visit:
        house.keys.away = True
        with pytest.raises(StoreAway):
            await house.gatekeeper.look()

    assert not visit.over


async def test_looking_goes_on_whatever_one_look_met(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revocation must not go unseen because of a hiccup before it."""
    monkeypatch.setattr(module_under_test, "_LOOK_EVERY_S", 0.0)
    key, _ = await house.key()

    with house.gatekeeper.visiting(key.caller, cookie=None) as visit:
        house.keys.away = True
        watching = asyncio.create_task(house.gatekeeper.watch())
        for _ in range(5):
            await asyncio.sleep(0)
        house.keys.away = False
        await house.keys.revoke(key.id)
        await until(lambda: visit.over)

    await cancelled(watching)


# Last use


async def test_the_use_of_a_key_is_noted_at_most_once_a_minute(house: House) -> None:
    """A write for every request would wear the disk out, and slow everybody down."""
    key, text = await house.key()

    for _ in range(120):
        await house.gatekeeper.caller(text)
        await house.gatekeeper.look()
        house.now += A_SECOND

    assert [when for note in house.keys.noted for when in note.values()] == [NOON, NOON + A_MINUTE]
    assert {key_id for note in house.keys.noted for key_id in note} == {key.id}


async def test_a_use_that_could_not_be_noted_is_noted_later(house: House) -> None:
    """It was used; when the disk is back, that is told."""
    key, text = await house.key()
    await house.gatekeeper.caller(text)
    house.keys.away = True
    with pytest.raises(StoreAway):
        await house.gatekeeper.look()

    house.keys.away = False
    await house.gatekeeper.look()

    assert house.keys.noted == [{key.id: NOON}]


async def test_a_try_with_a_wrong_secret_is_no_use(house: House) -> None:
    """Or somebody else's guesses would show as the owner's doing."""
    key, _ = await house.key()
    await refused(house.gatekeeper.caller(f"tbg_{key.id}_wrong"))

    await house.gatekeeper.look()

    assert house.keys.noted == []


async def test_a_stream_opened_by_ticket_counts_as_use_of_its_key(house: House) -> None:
    """`last used` is asked before a key is revoked."""
    key, _ = await house.key()
    await let_in_by_ticket(house, key)

    await house.gatekeeper.look()

    assert house.keys.noted == [{key.id: NOON}]
