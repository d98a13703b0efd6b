"""By which name, from which page and in which form a request may come: the doors alone, with nothing behind them."""

from collections.abc import Mapping
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.doors import COOKIE, Admission, Origins
from app.domain.access import LOCAL, Role
from app.domain.keys import new_key
from app.services.gatekeeper import Gatekeeper
from tests.support.fakes import FakeKeys, FakePasses
from tests.support.news import JOB, NOON

IN = 204
LISTED = "https://app.example"
HERE = "127.0.0.1:8080"
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FEED = "/v1/events"


class Inside:
    """What is behind the door: it lets everything in, and remembers how it came."""

    def __init__(self) -> None:
        self.seen: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        self.seen.append(scope)
        await Response(status_code=IN)(scope, receive, send)


async def asked(
    door: ASGIApp,
    method: str = "GET",
    target: str = "/v1/jobs",
    *,
    scheme: str = "http",
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Response:
    """What the door says; a header that is empty is not sent at all."""
    transport = httpx.ASGITransport(door)
    async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://{HERE}") as client:
        request = client.build_request(method, target, headers=dict(headers or {}), content=content)
        for name, value in (headers or {}).items():
            if not value:
                del request.headers[name]
        return await client.send(request)


def outcome(answer: httpx.Response) -> tuple[int, str | None]:
    """The number, and the code of the problem if it is one."""
    return answer.status_code, answer.json()["code"] if answer.content else None


# By which name


def loopback_door(inside: ASGIApp | None = None) -> Origins:
    return Origins(inside or Inside(), allowed=(), loopback_only=True)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LocalHost:1",
        "127.0.0.1",
        "127.0.0.1:65535",
        "127.1.2.3:80",
        "[::1]",
        "[::1]:8080",
    ],
)
async def test_without_keys_loopback_goes_by_its_names(host: str) -> None:
    """Any port: tunnels and containers move it."""
    assert outcome(await asked(loopback_door(), headers={"host": host})) == (IN, None)


@pytest.mark.parametrize(
    "host",
    [
        "",  # none at all
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "localhost.",
        "127.0.0.1.evil.example",
        "127.0.0.1:8080.evil.example",
        "evil.example:127.0.0.1",
        "localhost@evil.example",
        "evil.example@localhost",
        "user@127.0.0.1:8080",
        "127.1",
        "2130706433",
        "0.0.0.0",  # noqa: S104  (nothing is bound)
        "192.168.0.1",
        "[::]",
        "[::2]",
        "[::ffff:127.0.0.1]",
        "::1",
        "[::1",
        "[::1].evil.example",
        "localhost:",
        "localhost:80:80",
        "localhost:http",
        "localhost, evil.example",
        "localhost evil.example",
        "localhost/",
    ],
)
async def test_without_keys_no_other_name_is_answered_to(host: str) -> None:
    """A page can make its own name point to 127.0.0.1 and read what is there; the name gives it away."""
    inside = Inside()

    answer = await asked(loopback_door(inside), headers={"host": host})

    assert outcome(answer) == (421, "host-not-allowed")
    assert inside.seen == []


@pytest.mark.parametrize("host", ["gateway.example", "192.168.0.1:8080", "[fd00::1]", ""])
async def test_with_keys_any_name_will_do(host: str) -> None:
    """What the gateway is called is the operator's business; the key is what counts."""
    door = Origins(Inside(), allowed=(), loopback_only=False)

    assert (await asked(door, headers={"host": host})).status_code == IN


# From which page


def listing_door(inside: ASGIApp | None = None) -> Origins:
    return Origins(inside or Inside(), allowed=(LISTED,), loopback_only=False)


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    ("host", "origin", "scheme"),
    [
        (HERE, "", "http"),
        (HERE, LISTED, "http"),
        (HERE, LISTED, "https"),
        (HERE, f"http://{HERE}", "http"),
        (HERE, f"https://{HERE}", "https"),
        (HERE, f"https://{HERE}", "http"),  # a proxy that we do not know took the encryption off
        ("LocalHost:8080", "http://localhost:8080", "http"),
        ("[::1]:8080", "http://[::1]:8080", "http"),
        ("gateway.example", "https://gateway.example", "https"),
    ],
)
async def test_what_comes_from_here_or_from_a_listed_page_is_let_in(
    method: str, host: str, origin: str, scheme: str
) -> None:
    """And what comes from no page: a program sends no Origin."""
    answer = await asked(listing_door(), method, scheme=scheme, headers={"host": host, "origin": origin})

    assert answer.status_code == IN


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    ("host", "origin", "scheme"),
    [
        (HERE, "null", "http"),
        (HERE, "https://evil.example", "http"),
        (HERE, "http://app.example", "http"),
        (HERE, "https://app.example:8443", "http"),
        (HERE, "https://app.example.evil.example", "http"),
        (HERE, "https://APP.example", "http"),  # no browser writes it so
        (HERE, f"{LISTED}/", "http"),
        (HERE, f"{LISTED}, {LISTED}", "http"),
        (HERE, "http://127.0.0.1:8081", "http"),
        (HERE, "http://127.0.0.1", "http"),
        (HERE, "http://localhost:8080", "http"),
        (HERE, f"http://{HERE}", "https"),  # the page came without encryption, and may have come from anybody
        (HERE, f"http://user@{HERE}", "http"),
        (HERE, f"http://{HERE}@evil.example", "http"),
        (HERE, f"http://{HERE}.evil.example", "http"),
        (HERE, f"http://evil.example/{HERE}", "http"),
        (HERE, f"http:{HERE}", "http"),
        (HERE, HERE, "http"),
        (HERE, "file://", "http"),
        ("", "null", "http"),
        ("", "http://", "http"),
        ("[::1]:8080", "http://[::2]:8080", "http"),
        ("[::1]:8080", "http://::1:8080", "http"),
        ("[::1]:8080", "http://[::1]x:8080", "http"),
    ],
)
async def test_what_another_page_sends_is_refused_and_nothing_is_done(
    method: str, host: str, origin: str, scheme: str
) -> None:
    """A page can send almost anything here with its reader's cookies, but not without saying where it is from."""
    inside = Inside()

    answer = await asked(listing_door(inside), method, scheme=scheme, headers={"host": host, "origin": origin})

    assert outcome(answer) == (403, "origin-not-allowed")
    assert inside.seen == []


@pytest.mark.parametrize("origin", ["http://[::1", "http://[evil]"])
async def test_an_origin_that_is_no_address_is_refused_like_any_other(origin: str) -> None:
    """Not an error of ours."""
    assert outcome(await asked(listing_door(), headers={"origin": origin})) == (403, "origin-not-allowed")


@pytest.mark.parametrize(
    ("method", "headers", "let_in"),
    [
        ("GET", {"sec-fetch-site": "same-origin"}, True),
        ("POST", {"sec-fetch-site": "same-origin"}, True),
        ("GET", {"sec-fetch-site": "none"}, True),  # typed into the address bar
        ("GET", {"sec-fetch-site": "cross-site", **NAVIGATION}, True),
        ("GET", {"sec-fetch-site": "same-site", **NAVIGATION}, True),
        ("POST", {"sec-fetch-site": "cross-site", **NAVIGATION}, False),
        ("HEAD", {"sec-fetch-site": "cross-site", **NAVIGATION}, False),
        ("GET", {"sec-fetch-site": "cross-site", **NAVIGATION, "sec-fetch-dest": "iframe"}, False),
        ("GET", {"sec-fetch-site": "cross-site", **NAVIGATION, "sec-fetch-dest": "object"}, False),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, False),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "document"}, False),
        ("GET", {"sec-fetch-site": "cross-site"}, False),
        ("GET", {"sec-fetch-site": "same-site"}, False),
        ("POST", {"sec-fetch-site": "cross-site"}, False),
        ("GET", {"sec-fetch-site": "cross-site", "origin": LISTED}, True),
        ("POST", {"sec-fetch-site": "same-site", "origin": LISTED}, True),
        ("GET", {"sec-fetch-site": "cross-site", **NAVIGATION, "origin": "null"}, False),
    ],
)
async def test_a_browser_that_says_it_is_elsewhere_is_believed(
    method: str, headers: dict[str, str], let_in: bool
) -> None:
    """An image or a frame sends no Origin. Somebody who follows a link to here may, for the page with the link sees nothing."""
    answer = await asked(listing_door(), method, headers=headers)

    assert (answer.status_code == IN) is let_in


@pytest.mark.parametrize("headers", [{}, {"host": "evil.example"}, {"origin": "null"}])
async def test_every_answer_forbids_to_be_framed_sniffed_or_embedded(headers: dict[str, str]) -> None:
    """Refusals, too."""
    answer = await asked(loopback_door(), headers=headers)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


# In which form, where no keys are asked for


@pytest.mark.parametrize(
    ("method", "path", "kind", "content", "let_in"),
    [
        ("POST", "/v1/jobs", "application/json", b"{}", True),
        ("POST", "/v1/jobs", "Application/JSON; charset=utf-8", b"{}", True),
        ("POST", "/v1/jobs", "application/merge-patch+json", b"{}", True),
        ("POST", "/v1/jobs", "", b"", True),
        ("POST", "/v1/jobs", "text/plain", b"{}", False),
        ("POST", "/v1/jobs", "text/plain", b"", False),
        ("POST", "/v1/jobs", "text/plain; application/json", b"{}", False),
        ("POST", "/v1/jobs", "application/x-www-form-urlencoded", b"a=b", False),
        ("POST", "/v1/jobs", "multipart/form-data; boundary=application/json", b"--", False),
        ("POST", "/v1/jobs", "", b"{}", False),
        ("POST", "/v1/jobs", "text/csv", b"a,b", False),
        ("POST", "/v1/assets", "text/csv", b"a,b", True),
        ("POST", "/v1/assets", "text/csv; charset=utf-8", b"a,b", True),
        ("POST", "/v1/assets", "application/vnd.apache.parquet", b"PAR1", True),
        ("POST", "/v1/assets", "text/plain", b"a,b", False),
        ("POST", "/v1/assets", "multipart/form-data; boundary=b", b"--b--", True),
        ("POST", "/v1/assets", "application/x-www-form-urlencoded", b"a=b", False),
        ("POST", "/v1/assets/", "text/csv", b"a,b", False),
        ("PUT", "/v1/jobs", "text/plain", b"{}", False),
        ("PATCH", "/v1/jobs", "text/plain", b"{}", False),
        ("DELETE", "/v1/jobs", "text/plain", b"{}", False),
        ("GET", "/v1/jobs", "text/plain", b"", True),
    ],
)
async def test_without_keys_a_write_says_what_no_form_can_say(
    method: str, path: str, kind: str, content: bytes, let_in: bool
) -> None:
    """A page needs leave for JSON, and does not get it; text/plain it just sends. An upload's form shows where it is from."""
    inside = Inside()
    door = Admission(inside, by_key=False, cross_site=False)

    answer = await asked(door, method, path, headers={"content-type": kind}, content=content)

    assert outcome(answer) == ((IN, None) if let_in else (415, "unsupported-media-type"))
    assert [scope["caller"] for scope in inside.seen] == [LOCAL] * let_in


async def test_without_keys_a_body_of_unknown_length_is_a_body() -> None:
    """It comes in chunks and says nothing of what it is."""
    headers = {"transfer-encoding": "chunked"}

    answer = await asked(Admission(Inside(), by_key=False, cross_site=False), "POST", headers=headers)

    assert answer.status_code == 415


# With which key


class Keyed:
    """A door that asks for keys, the one key there is, and what is behind the door."""

    def __init__(self, *, cross_site: bool = False) -> None:
        self.inside = Inside()
        self.key, self.text = new_key("sam", Role.VIEWER, now=NOON, expires=None)
        keys = FakeKeys()
        keys.kept[self.key.id] = self.key
        self.gatekeeper = Gatekeeper(keys, FakePasses(now=lambda: NOON), now=lambda: NOON, refusal_pause_s=0)
        app = Starlette()
        app.state.rooms = SimpleNamespace(gatekeeper=self.gatekeeper)
        self._door = Admission(self.inside, by_key=True, cross_site=cross_site)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self._door({**scope, "app": self._app}, receive, send)

    async def ticket(self, path: str = FEED) -> str:
        """For the stream at this path."""
        return (await self.gatekeeper.ticket(self.key.caller, path=path)).text


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1", "/nothing", "/docs/", "/livez/x", "/OpenAPI.json"])
async def test_nothing_but_the_open_paths_themselves_is_open(path: str) -> None:
    """What does not exist is not told to strangers, either."""
    answer = await asked(Keyed(), target=path)

    assert outcome(answer) == (401, "key-missing")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_key_says_who_asks() -> None:
    """Everything behind the door goes by it."""
    door = Keyed()

    await asked(door, headers={"authorization": f"bearer {door.text}"})

    assert [scope["caller"] for scope in door.inside.seen] == [door.key.caller]


@pytest.mark.parametrize(
    ("scheme", "cross_site", "attributes"),
    [
        ("http", False, ["HttpOnly", f"Path={FEED}", "SameSite=Strict"]),
        ("http", True, ["HttpOnly", f"Path={FEED}", "SameSite=Strict"]),
        ("https", False, ["HttpOnly", f"Path={FEED}", "SameSite=Strict", "Secure"]),
        ("https", True, ["HttpOnly", "Partitioned", f"Path={FEED}", "SameSite=None", "Secure"]),
    ],
)
async def test_the_cookie_goes_no_further_than_it_must(scheme: str, cross_site: bool, attributes: list[str]) -> None:
    """To one path, to no script, and to other sites' pages only where there are such pages."""
    door = Keyed(cross_site=cross_site)

    answer = await asked(door, target=f"{FEED}?ticket={await door.ticket()}", scheme=scheme)

    cookie, *rest = answer.headers["Set-Cookie"].split("; ")
    assert cookie.startswith(f"{COOKIE}=")
    assert sorted(rest) == attributes


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
async def test_a_ticket_opens_a_stream_to_read_and_nothing_else(method: str) -> None:
    """It is still good afterwards."""
    door = Keyed()
    target = f"{FEED}?ticket={await door.ticket()}"

    refused = await asked(door, method, target)

    assert refused.status_code == 401
    assert (await asked(door, "GET", target)).status_code == IN


@pytest.mark.parametrize(
    "path",
    [f"/v1/jobs/{JOB}", f"/v1/jobs/{JOB}/history", f"/v1/jobs/{JOB}/events/", "/v1/events/", "/v1/jobs/x/events"],
)
async def test_where_there_is_no_stream_a_ticket_is_not_looked_at(path: str) -> None:
    """Not even one that somebody made for that path."""
    door = Keyed()

    answer = await asked(door, target=f"{path}?ticket={await door.ticket(path)}")

    assert outcome(answer) == (401, "key-missing")


async def test_a_key_that_is_sent_counts_and_not_what_comes_beside_it() -> None:
    """A wrong key with a good ticket is a wrong key; a good one leaves the ticket unused."""
    door = Keyed()
    target = f"{FEED}?ticket={await door.ticket()}"

    wrong = await asked(door, target=target, headers={"authorization": "Bearer tbg_0_x"})
    right = await asked(door, target=target, headers={"authorization": f"Bearer {door.text}"})

    assert outcome(wrong) == (401, "key-invalid")
    assert (right.status_code, "Set-Cookie" in right.headers) == (IN, False)
    assert (await asked(door, target=target)).headers["Set-Cookie"]
