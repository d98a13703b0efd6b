"""No secret in any log, error, problem document, database column or process list.

Secrets that can be recognised are put everywhere, into what is right and into what is wrong, over several lives of one gateway.
Then the bytes of all that is left of it are searched for each of them, as it is and as it might be written.
"""

import asyncio
import base64
import binascii
import json
import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from app.domain.access import Role
from app.domain.keys import id_and_secret, new_key
from app.settings import Settings
from app.store.memory import open_keys
from tests.support.gateway import WITHIN_S, Commanded, Gateway, environment, router_settings, served
from tests.support.loopback import Answer, answers, babbles, breaks_off, drops, loopback
from tests.support.network import REGRESSION, RunningNetwork
from tests.support.processes import descendants

_ORIGIN = "https://app.example"
_JSON = {"Content-Type": "application/json"}
_JOB = {"job_name": "a job", **REGRESSION}


# What is searched for, and where


def written_ways(secret: str) -> Iterator[bytes]:
    """The secret as it is, and as it stands inside of what was encoded together with other bytes."""
    plain = secret.encode()
    yield plain
    yield quote(secret, safe="").encode()
    yield "".join(f"%{byte:02X}" for byte in plain).encode()
    yield binascii.hexlify(plain)
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + plain).rstrip(b"=")[shared:]
        # The last character holds bits of what follows, too.
        middle = encoded if (before + len(plain)) % 3 == 0 else encoded[:-1]
        yield middle
        yield middle.translate(bytes.maketrans(b"+/", b"-_"))


def sightings(known: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Which secret stands where."""
    found = []
    for where, content in places.items():
        folded = content.lower()
        for name, secret in known.items():
            plain, *encoded = written_ways(secret)
            if plain.lower() in folded or any(way in content for way in encoded):
                found.append(f"{name}: {where}")
    return found


def files(folder: Path, *, but: Iterable[str] = ()) -> dict[str, bytes]:
    """Every file below the folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in but)
    return {str(path.relative_to(folder.parent)): path.read_bytes() for path in found}


def columns(database: Path) -> dict[str, bytes]:
    """Every column of every table, as SQL tells it."""
    told: dict[str, bytes] = {}
    with closing(sqlite3.connect(database)) as db:
        tables = [
            name
            for (name,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
            )
        ]
        for table in tables:
            rows = db.execute(f'SELECT * FROM "{table}"')  # noqa: S608  (a name of its own)
            values = list(zip(*rows, strict=True)) or [()] * len(rows.description)
            for (column, *_), held in zip(rows.description, values, strict=True):
                told[f"{table}.{column}"] = "\n".join(map(str, held)).encode()
    return told


def processes(pids: Iterable[int], of: str) -> dict[str, bytes]:
    """Command lines or environments; those that have ended or are not ours to read hold nothing."""
    found: dict[str, bytes] = {}
    for pid in pids:
        try:
            found[f"{of} of process {pid}"] = Path(f"/proc/{pid}/{of}").read_bytes()
        except OSError:
            continue
    return found


def everybody() -> list[int]:
    """All processes that there are."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """An answer: to what, head and body, and the secrets that it may say."""

    to: str
    content: bytes
    may: frozenset[str]


@dataclass(kw_only=True)
class Evidence:
    """What the lives of a gateway have left."""

    known: dict[str, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    places: dict[str, bytes] = field(default_factory=dict)
    log: str = ""


class TappedGateway(Commanded):
    """Keeps what it said on standard output, too."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        super().__init__(data_dir, **settings)
        self.said = b""

    def _buried(self) -> int:
        process = self._running
        process.wait(WITHIN_S)
        assert process.stdout is not None
        self.said += process.stdout.read()
        return super()._buried()


class Prober:
    """Asks for all sorts of things, and writes down what it put where and what it heard."""

    def __init__(self, gateway: TappedGateway, network: RunningNetwork, evidence: Evidence) -> None:
        self.gateway = gateway
        self.network = network
        self.evidence = evidence
        self.client = gateway.client()

    def secret(self, name: str, text: str | None = None) -> str:
        """A new one, or one that somebody else made; from now on it is searched for."""
        self.evidence.known[name] = text or secrets.token_urlsafe(24)
        return self.evidence.known[name]

    async def ask(self, method: str, path: str, *, may: Iterable[str] = (), **given: Any) -> httpx.Response:
        """`may`: the secrets that this one answer may repeat."""
        answer = await self.client.request(method, path, **given)
        self.keep(answer, answer.content, may=may)
        return answer

    def keep(self, answer: httpx.Response, body: bytes, *, may: Iterable[str] = ()) -> None:
        """An answer that was heard."""
        head = b"\r\n".join(name + b": " + value for name, value in answer.headers.raw)
        to = f"{answer.request.method} {answer.request.url.path} → {answer.status_code}"
        self.evidence.heard.append(Heard(to=to, content=head + b"\r\n\r\n" + body, may=frozenset(may)))

    async def shout(self, request: bytes) -> None:
        """Bytes that no client would send."""
        address = httpx.URL(self.gateway.url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(request)
        async with asyncio.timeout(WITHIN_S):
            content = await reader.read(65_536)
        writer.close()
        await writer.wait_closed()
        self.evidence.heard.append(Heard(to=f"{request[:20]!r}", content=content, may=frozenset()))

    async def opened(self, path: str, *, may: Iterable[str] = (), **headers: str) -> httpx.Response:
        """A stream, which stays open; or its refusal."""
        request = self.client.build_request("GET", path, headers=headers)
        answer = await self.client.send(request, stream=True)
        first = b"" if answer.is_success else await answer.aread()
        self.keep(answer, first, may=may)
        return answer


# The lives


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def named(token: str) -> dict[str, str]:
    return {"Router-Authorization": f"Bearer {token}"}


async def key(prober: Prober, name: str, role: Role, *, days: int = 1) -> tuple[str, str]:
    """A key and its id; what is searched for is its secret part, wherever that stands."""
    now = datetime.now(UTC)
    made, text = new_key(name, role, now=now, expires=now + timedelta(days=days))
    async with open_keys(_database(prober.gateway), now=lambda: now) as keys:
        await keys.keep(made)
    prober.secret(name, id_and_secret(text)[1])
    return text, made.id


async def revoke(prober: Prober, key_id: str) -> None:
    async with open_keys(_database(prober.gateway), now=lambda: datetime.now(UTC)) as keys:
        assert await keys.revoke(key_id)


def _database(gateway: Gateway) -> str:
    return Settings(data_dir=gateway.data_dir).database


async def show_wrong_keys(prober: Prober) -> None:
    """Unknown, wrong, expired, revoked, malformed; by the right header and by wrong ones."""
    valid, key_id = await key(prober, "a key that will be revoked", Role.ADMIN)
    expired, _ = await key(prober, "an expired key", Role.ADMIN, days=-1)
    await revoke(prober, key_id)
    unknown = f"tbg_0123456789ab_{prober.secret('the secret of an unknown key')}"
    wrong = f"tbg_{key_id}_{prober.secret('a wrong secret')}"
    malformed = f"tbg-{prober.secret('a malformed key')}"
    spaced = f"tbg_a b_{prober.secret('a key with a space')}"
    basic = base64.b64encode(f"user:{prober.secret('a password')}".encode()).decode()
    shown = [
        *(bearer(text) for text in (valid, expired, unknown, wrong, malformed, spaced)),
        {"Authorization": malformed},
        {"Authorization": f"Basic {basic}"},
        {"Authorization": f"Token {prober.secret('a token of another scheme')}"},
        {"X-Api-Key": prober.secret("a key in a header of its own")},
        {"Cookie": f"gateway-stream={prober.secret('a cookie of nothing')}; session={prober.secret('another cookie')}"},
    ]
    for headers in shown:
        for method, path in (("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("GET", f"/v1/jobs/{uuid4()}/events")):
            answer = await prober.ask(method, path, headers=headers)
            assert answer.status_code == 401, (answer.status_code, headers)


async def misplace_a_key(prober: Prober, admin: str) -> None:
    """A key in the path, the query, the body. What the caller wrote there may be told to the caller, as what it is."""
    lost, _ = await key(prober, "a misplaced key", Role.VIEWER)
    own = {"may": ["a misplaced key"], "headers": bearer(admin)}
    silent = {"headers": bearer(admin)}
    for path in (f"/v1/jobs/{lost}", f"/v1/{lost}", f"/{lost}", f"/v1/assets/{lost}", f"/v1/jobs/{lost}/events"):
        await prober.ask("GET", path, **own)
        await prober.ask("GET", path, may=["a misplaced key"])  # by nobody in particular
    await prober.ask("POST", f"/v1/jobs/{lost}/kill", **own)
    await prober.ask("GET", f"/v1/jobs?{lost}=1", **own)
    for query in (f"key={lost}", f"limit={lost}", f"cursor={lost}", f"id={lost}", f"phase={lost}", f"tickets={lost}"):
        assert (await prober.ask("GET", f"/v1/jobs?{query}", **silent)).status_code == 422
    for query in (f"after={lost}", f"tickets={lost}", f"ticket={lost}&tickets={lost}"):
        await prober.ask("GET", f"/v1/events?{query}", **silent)
        await prober.ask("GET", f"/v1/events?{query}")
    await prober.ask("GET", f"/v1/jobs/?tickets={lost}", **own)  # a slash too many
    await prober.ask("POST", "/v1/jobs", json={**_JOB, lost: 1}, **own)
    await prober.ask("POST", "/v1/jobs", json={**_JOB, "params": {lost: 1}}, **own)
    await prober.ask("POST", "/v1/jobs", json={**_JOB, "dataset": [lost]}, **own)
    await prober.ask("POST", "/v1/jobs", json={**_JOB, "operation": lost}, **own)
    await prober.ask("POST", "/v1/jobs", json={**_JOB, "params": lost}, **silent)
    await prober.ask("POST", "/v1/jobs", json=[lost], **silent)
    await prober.ask("POST", "/v1/stream-tickets", json={"job_id": lost}, **silent)
    json_of = {**bearer(admin), **_JSON}
    await prober.ask("POST", "/v1/jobs", content=f'{{"job_name": "{lost}'.encode(), headers=json_of)
    await prober.ask("POST", "/v1/jobs", content=lost.encode() * 100, headers=json_of)
    await prober.ask("POST", "/v1/jobs", content=lost.encode() + bytes(5_000), headers=json_of)
    await prober.ask("POST", f"/v1/assets?name={lost}", content=b"", headers={**bearer(admin), "Content-Type": lost})
    await prober.ask("GET", "/v1/events", headers={**bearer(admin), "Last-Event-ID": lost})


async def say_it_in_every_header(prober: Prober, admin: str) -> None:
    """Proxies, browsers and mistakes put things into all of them."""
    lost = prober.secret("a secret in a header")
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "User-Agent", "Referer"):
        await prober.ask("GET", "/v1/jobs", headers={**bearer(admin), name: lost})
    for name in ("Accept", "Content-Type", "X-Request-Id", "Traceparent", "Range", "Sec-Fetch-Site", "Host"):
        await prober.ask("POST", "/v1/jobs", headers={**bearer(admin), name: lost}, json=None)
    for origin in (f"https://{lost}.example", lost, "null"):
        answer = await prober.ask("POST", "/v1/jobs", headers={**bearer(admin), "Origin": origin}, json=_JOB)
        assert answer.json()["code"] == "origin-not-allowed"
    preflight = {"Origin": _ORIGIN, "Access-Control-Request-Method": "POST"}
    await prober.ask(
        "OPTIONS",
        "/v1/jobs",
        headers={**preflight, "Access-Control-Request-Headers": lost},
        may=["a secret in a header"],
    )
    await prober.ask("OPTIONS", "/v1/jobs", headers={**preflight, "Origin": f"https://{lost}.example"})
    for shouted in (
        f"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nRouter-Authorization: Bearer a\nb{lost}\r\n\r\n",
        f"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\x00{lost}\r\n\r\n",
        f"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer {lost}\r\nConnection: close\r\n\r\n",
        f"{lost} /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        f"GET http://user:{lost}@x/v1/jobs?{lost} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        f"{lost}\r\n\r\n",
    ):
        await prober.shout(shouted.encode("latin-1"))


async def speak_in_ones_own_name(prober: Prober, admin: str) -> str:
    """Own, of another team, unknown, malformed; on what changes something and on what does not. The id of a job."""
    own = prober.secret("the caller's Router token", prober.network.user_token("member@globex"))
    other = prober.secret("another team's Router token", prober.network.user_token("member@mercy"))
    unknown = prober.secret("an unknown Router token")
    slipped = prober.secret("a Router token with a slip in it")
    written = [own, other, unknown, f"{slipped} x", f"x {slipped}", f"tök{slipped}", f"a\x85{slipped}", f"a\t{slipped}"]
    made = await prober.ask("POST", "/v1/jobs?submit=true", json=_JOB, headers={**bearer(admin), **named(own)})
    assert made.status_code == 201
    for token in written:
        headers: dict[bytes, bytes] = {
            name.encode(): value.encode("latin-1") for name, value in {**bearer(admin), **named(token)}.items()
        }
        await prober.ask("GET", f"/v1/jobs/{made.json()['id']}", headers=headers)
        await prober.ask("POST", "/v1/jobs", json=_JOB, headers=headers)
        await prober.ask("POST", f"/v1/jobs/{uuid4()}/cancel", headers=headers)
        await prober.ask("POST", f"/v1/access-requests/{uuid4()}/{uuid4()}/accept", headers=headers)
        upload = {**headers, b"Content-Type": b"text/csv"}
        await prober.ask("POST", f"/v1/assets?name=t-{uuid4().hex}", content=b"a\n1\n", headers=upload)
    prober.network.accept_all(made.json())
    told = prober.network.job(made.json()["id"])
    prober.secret("the stream's token", told["stream"]["token"])
    return str(made.json()["id"])


async def come_with_tickets(prober: Prober, admin: str, job_id: str) -> None:
    """Unused, used, of another stream, wrong; with the cookie and without."""
    path = f"/v1/jobs/{job_id}/events"
    unused = await _ticket(prober, "an unused ticket", admin, {"job_id": job_id})
    used = await _ticket(prober, "a used ticket", admin, {"job_id": job_id})
    feed = await _ticket(prober, "a ticket of the feed", admin, {})
    entered = await prober.opened(f"{path}?ticket={used}", may=["a stream's cookie"])
    cookie = prober.secret("a stream's cookie", entered.cookies["gateway-stream"])
    await entered.aclose()
    prober.client.cookies.clear()
    again = await prober.opened(f"{path}?ticket={used}", Cookie=f"gateway-stream={cookie}")
    assert (entered.status_code, again.status_code) == (200, 200)
    await again.aclose()
    wrong = prober.secret("a wrong ticket")
    for query, cookies in (
        (f"ticket={used}", ""),
        (f"ticket={feed}", ""),
        (f"ticket={wrong}", f"gateway-stream={wrong}"),
        (f"tickets={unused}", ""),
        (f"tickets={unused}", f"gateway-stream={cookie}"),
        (f"{unused}", ""),
    ):
        answer = await prober.opened(f"{path}?{query}", may=["an unused ticket"] * (query == unused), Cookie=cookies)
        assert not answer.is_success, query
    assert (await prober.ask("GET", f"/v1/jobs?ticket={unused}")).status_code == 401
    assert (await prober.ask("GET", f"/v1/jobs?ticket={unused}", headers=bearer(admin))).status_code == 422


async def _ticket(prober: Prober, name: str, admin: str, wanted: dict[str, str]) -> str:
    answer = await prober.ask("POST", "/v1/stream-tickets", json=wanted, headers=bearer(admin), may=[name])
    return prober.secret(name, answer.json()["ticket"])


async def be_sent_away(prober: Prober) -> None:
    """A key is revoked while its stream is open; and while the Router is away nothing can be looked up."""
    text, key_id = await key(prober, "a key revoked in the middle of a stream", Role.VIEWER)
    stream = await prober.opened("/v1/events", **bearer(text))
    pieces = stream.aiter_raw()
    async with asyncio.timeout(WITHIN_S):
        heard = await anext(pieces)  # it is let in, and only then sent away
        await revoke(prober, key_id)
        heard += b"".join([piece async for piece in pieces])
    prober.keep(stream, heard)
    assert (await prober.ask("GET", "/v1/jobs", headers=bearer(text))).status_code == 401


async def miss_the_router(prober: Prober, admin: str) -> None:
    stranger = prober.secret("a Router token nobody could look up")
    prober.network.stop_router()
    try:
        answer = await prober.ask("POST", "/v1/jobs", json=_JOB, headers={**bearer(admin), **named(stranger)})
        assert answer.status_code == 503
    finally:
        prober.network.start_router()


_REFUSAL = b'{"error": {"code": "no-such-code", "detail": "I do not like this."}}'
_ODD_ANSWERS: dict[str, Answer] = {
    "401": answers(401, b'{"error": {"code": "unauthorized", "detail": "No."}}'),
    "403": answers(403, b'{"error": {"code": "forbidden", "detail": "No.", "team": "mercy"}}'),
    "418": answers(418, _REFUSAL),
    "500": answers(500, b"<html>"),
    "a redirect": answers(307, Location="http://elsewhere.test/v1/jobs"),
    "html": answers(200, b"<html>Welcome</html>", kind="text/html"),
    "the wrong type": answers(200, b'{"user": 1, "team": [], "role": {}, "epoch": null}'),
    "babble": babbles,
    "a drop": drops,
    "half an answer": breaks_off,
}


async def meet_an_odd_router(prober: Prober, odd: Callable[[Answer], None], admin: str) -> None:
    """Whatever it answers, to calls with our token and with a caller's."""
    caller = prober.secret("a Router token sent to an odd Router")
    for answer in _ODD_ANSWERS.values():
        odd(answer)
        for headers in (bearer(admin), {**bearer(admin), **named(caller)}):
            assert (await prober.ask("POST", "/v1/jobs", json=_JOB, headers=headers)).is_error
            assert (await prober.ask("POST", f"/v1/jobs/{uuid4()}/kill", headers=headers)).is_error
            assert (await prober.ask("GET", "/v1/assets", headers=headers)).is_error


def damage(database: Path) -> None:
    """A row that cannot be, and a table that is missing: what nobody foresaw."""
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("UPDATE action SET verb = 99")
        db.execute("DROP TABLE stream_pass")


async def fail(prober: Prober, admin: str, job_id: str) -> None:
    """With a damaged memory, and so with tracebacks."""
    # The server ends a connection after a failure, and does not say so beforehand: the next request takes another.
    headers = {**bearer(admin), **named(prober.secret("a Router token while we failed")), "Connection": "close"}
    failed = await prober.ask("GET", f"/v1/jobs/{job_id}/actions", headers=headers)
    assert (failed.status_code, failed.json()["code"]) == (500, "internal")
    away = await prober.ask("POST", "/v1/stream-tickets", json={}, headers=headers)
    assert (away.status_code, away.json()["code"]) == (503, "history-unavailable")
    wrong = prober.secret("a ticket while there were none")
    assert (await prober.ask("GET", f"/v1/events?ticket={wrong}", headers={"Connection": "close"})).is_error


async def a_full_life(prober: Prober, admin: str) -> str:
    """Everything that is right and wrong, at a Router that is as it should be; the id of a job."""
    await show_wrong_keys(prober)
    await misplace_a_key(prober, admin)
    await say_it_in_every_header(prober, admin)
    job_id = await speak_in_ones_own_name(prober, admin)
    await come_with_tickets(prober, admin, job_id)
    await be_sent_away(prober)
    await miss_the_router(prober, admin)
    prober.evidence.places |= processes(everybody(), "cmdline")
    prober.evidence.places |= processes(descendants(prober.gateway.pid), "environ")
    return job_id


async def a_short_life(prober: Prober, admin: str) -> None:
    """It dies in the middle of a stream; what it leaves is taken as it is, before anybody tidies up."""
    ticket = await _ticket(prober, "a ticket before a sudden death", admin, {})
    stream = await prober.opened(f"/v1/events?ticket={ticket}", may=["a cookie before a sudden death"])
    prober.secret("a cookie before a sudden death", stream.cookies["gateway-stream"])
    await prober.ask("POST", "/v1/jobs", json=_JOB, headers=bearer(admin))
    await asyncio.to_thread(prober.gateway.kill9)
    await stream.aclose()
    # Copied by another process: whoever reads a database's bytes by hand gives up the locks that SQLite has on it here.
    left = prober.gateway.data_dir.with_name("killed")
    command = ["cp", "-r", str(prober.gateway.data_dir), str(left)]
    await asyncio.to_thread(subprocess.run, command, check=True)
    prober.evidence.places |= files(left)


async def a_sad_life(prober: Prober, odd: Callable[[Answer], None], admin: str, job_id: str) -> None:
    """The Router talks nonsense, and the memory is damaged."""
    await meet_an_odd_router(prober, odd, admin)
    await fail(prober, admin, job_id)


@asynccontextmanager
async def living(
    gateway: TappedGateway, network: RunningNetwork, evidence: Evidence, **settings: str
) -> AsyncIterator[Prober]:
    """The gateway runs, and somebody asks it."""
    await asyncio.to_thread(lambda: gateway.start(**settings))
    prober = Prober(gateway, network, evidence)
    try:
        async with prober.client:
            yield prober
    finally:
        await asyncio.to_thread(gateway.end)


async def live(network: RunningNetwork, folder: Path) -> Evidence:
    """All of it, one life after the other: with a token of the environment, of a file, and for an odd Router."""
    evidence = Evidence(known={"the gateway's Router token": network.tokens["globex"]})
    settings = {"GATEWAY_AUTH": "key", "GATEWAY_REFUSAL_PAUSE_S": "0", "GATEWAY_LOG_LEVEL": "debug"}
    settings |= {"GATEWAY_CORS_ORIGINS": _ORIGIN, "GATEWAY_BODY_LIMIT": "4000", "GATEWAY_SILENCE_S": "2"}
    gateway = TappedGateway(folder / "gateway", **settings)
    async with living(gateway, network, evidence, **router_settings(network)) as prober:
        admin, _ = await key(prober, "the admin's key", Role.ADMIN)
        job_id = await a_full_life(prober, admin)

    file = folder / "router-token"
    file.write_text(network.user_token("member@globex") + "\n")
    from_file = {"GATEWAY_ROUTER_URL": network.router_url, "GATEWAY_ROUTER_TOKEN_FILE": str(file)}
    async with living(gateway, network, evidence, **from_file) as prober:
        await a_short_life(prober, admin)

    evidence.places |= columns(gateway.data_dir / "gateway.db")
    damage(gateway.data_dir / "gateway.db")
    async with loopback(drops) as odd:
        token = secrets.token_urlsafe(24)
        evidence.known["the token for an odd Router"] = token
        at_odds = {"GATEWAY_ROUTER_URL": odd.url, "GATEWAY_ROUTER_TOKEN": token}
        async with living(gateway, network, evidence, **at_odds) as prober:
            await a_sad_life(prober, lambda answer: setattr(odd, "answer", answer), admin, job_id)

    evidence.log = gateway.log
    evidence.places |= {"standard output": gateway.said, **files(gateway.data_dir)}
    # network.json is where the network's tokens are kept, readable by its owner alone.
    evidence.places |= files(network.data_dir, but=["network.json"])
    return evidence


@pytest.fixture(scope="module")
def evidence(running_network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """One gateway's lives are enough for all that is claimed of them."""
    folder = tmp_path_factory.mktemp("secrets")
    with ThreadPoolExecutor(1) as apart:  # an event loop of its own, for the tests' loops come and go
        return apart.submit(asyncio.run, live(running_network, folder)).result()


# What holds


def test_no_secret_is_in_any_log_file_or_column(evidence: Evidence) -> None:
    """Whoever may read a log or a backup must not thereby be able to act."""
    places = {where: content for where, content in evidence.places.items() if " of process " not in where}

    assert {"standard output", "gateway/stderr.log", "gateway/gateway.db", "api_key.fingerprint"} <= places.keys()
    assert any(where.endswith("router.sqlite") for where in places)
    assert any(where.endswith("router.log") for where in places)
    assert sightings(evidence.known, places) == []


def test_no_secret_is_in_a_command_line_or_given_to_a_child(evidence: Evidence) -> None:
    """Every user of the machine can list processes with their arguments."""
    places = {where: content for where, content in evidence.places.items() if " of process " in where}

    assert len(places) > 1
    assert sightings(evidence.known, places) == []


def test_no_answer_tells_a_secret(evidence: Evidence) -> None:
    """But a ticket and a cookie, once, to whom they are for; and what a caller wrote into an address or a field's name."""
    told = []
    for heard in evidence.heard:
        unfit = {name: secret for name, secret in evidence.known.items() if name not in heard.may}
        told += sightings(unfit, {heard.to: heard.content})

    assert len(evidence.heard) > 150
    assert told == []


def test_an_echo_stands_where_the_caller_is_told_what_they_wrote_and_nowhere_else(evidence: Evidence) -> None:
    """As the address or the field in question: never in a header, but for the preflight's, which must name headers."""
    lost = evidence.known["a misplaced key"]
    echoed = [heard for heard in evidence.heard if "a misplaced key" in heard.may and lost.encode() in heard.content]

    for heard in echoed:
        head, _, body = heard.content.partition(b"\r\n\r\n")
        assert lost.encode() not in head, heard.to
        holding = {name for name, value in json.loads(body).items() if lost in json.dumps(value)}
        assert holding <= {"instance", "field", "detail", "errors"}, heard.to
    assert echoed


def test_what_may_be_known_of_keys_is_kept(evidence: Evidence) -> None:
    """Fingerprints and ids: a search that finds nothing at all would be no search."""
    assert len(evidence.places["api_key.fingerprint"].split()) >= 5
    assert len(evidence.places["api_key.fingerprint"].split()[0]) == 64
    assert b"member@globex" in evidence.places["action.router_user"]
    assert len(evidence.places["stream_pass.ticket"].split()) >= 3


def test_every_line_of_the_log_is_an_object(evidence: Evidence) -> None:
    """Over all lives, whatever was sent and whatever failed; and what failed is in it."""
    lines = [json.loads(line) for line in evidence.log.splitlines()]

    assert {"event", "level", "logger", "time"} <= set.intersection(*(set(line) for line in lines))
    assert all("request_id" in line for line in lines if line["event"] == "request")
    assert any("Traceback" in line.get("exception", "") for line in lines)
    assert {"request", "key refused", "stream ended with its key"} <= {line["event"] for line in lines}
    assert not [line for line in lines if line["logger"] in {"uvicorn.access", "httpx", "alembic"}]


def test_a_line_of_a_request_tells_no_more_of_its_address_than_route_and_ids(evidence: Evidence) -> None:
    """The rest of it is the caller's."""
    lines = [json.loads(line) for line in evidence.log.splitlines()]
    paths = {line["path"] for line in lines if line["event"] == "request"}

    assert {"/v1/jobs", "(none)", "/v1/jobs/{job_id}"} <= paths
    assert not [path for path in paths if any(mark in path for mark in "?%=&@")]


# The network that is carried, and the command line


@pytest.mark.full
def test_the_carried_network_is_told_nothing_that_is_secret(tmp_path: Path) -> None:
    """Its processes have neither our token in their environment nor anybody's in their arguments."""
    needle = secrets.token_urlsafe(24)
    with served(tmp_path, GATEWAY_ROUTER="network", GATEWAY_ROUTER_TOKEN=needle) as gateway:
        family = descendants(gateway.pid)
        listing = json.loads((tmp_path / "network" / "network.json").read_text())
        known = {"the gateway's token": needle, **{one["user"]: one["token"] for one in listing["users"]}}
        places = {**processes(family, "environ"), **processes(everybody(), "cmdline")}
    # What is meant to hold secrets is for its owner's eyes alone.
    vaults = {"network.json", "config.json"}

    assert len(family) >= 5
    assert b"PATH=" in b"".join(places.values())
    assert sightings(known, {**places, **files(tmp_path, but=vaults)}) == []
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*.json")} == {0}


def test_a_new_key_is_told_on_standard_output_alone(tmp_path: Path) -> None:
    """Words about it go to standard error, which ends up in logs."""
    command = [sys.executable, "-m", "app", "key", "create", "ann", "--role", "viewer"]
    made = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=True, timeout=60)

    key_id, secret = id_and_secret(made.stdout.strip())
    known = {"the new key": secret}
    places = {"standard error": made.stderr.encode(), **files(tmp_path), **columns(tmp_path / "gateway.db")}
    assert key_id in made.stderr
    assert made.stdout.count("\n") == 1
    assert sightings(known, places) == []
    assert (tmp_path / "gateway.db").stat().st_mode & 0o077 == 0


# The search itself

_WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "in capitals": str.upper,
    "in a URL": lambda text: quote(f"/?a={text}&", safe=""),
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in base64 after a user's name": lambda text: base64.b64encode(f"user:{text}\n".encode()).decode(),
    "in base64 for addresses": lambda text: base64.urlsafe_b64encode(f"u:{text}~~".encode()).decode(),
    "in hexadecimal": lambda text: text.encode().hex(),
    "in JSON in JSON": lambda text: json.dumps(json.dumps({"a": [text]})),
}


@pytest.mark.parametrize("way", _WAYS)
def test_the_search_finds_what_is_there(tmp_path: Path, way: str) -> None:
    """In a log, a database, its write-ahead log, a column, an answer's head and body, a process."""
    needle = secrets.token_urlsafe(24)
    planted = _WAYS[way](needle)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "some.log").write_text(f'{{"event": {json.dumps(planted)}}}\n')
    head = Heard(to="head", content=f"Location: {planted}\r\n\r\n".encode(), may=frozenset())
    body = Heard(to="body", content=f"X: y\r\n\r\n{planted}".encode(), may=frozenset())
    with closing(_planted(tmp_path / "some.db", planted)):  # open, so that the write-ahead log stays
        places = {**files(tmp_path), **columns(tmp_path / "some.db")}
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", planted],
        env={**os.environ, "PLANTED": planted},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        places |= {**processes([child.pid], "cmdline"), **processes(descendants(os.getpid()), "environ")}
        assert child.stdin is not None
        child.stdin.close()
    places |= {heard.to: heard.content for heard in (head, body)}

    found = {sighting.partition(": ")[2] for sighting in sightings({"a needle": needle}, places)}

    folder = tmp_path.name
    assert found == {
        *(f"{folder}/{name}" for name in ("logs/some.log", "some.db-wal")),
        *("secret.value", "head", "body"),
        *(f"{of} of process {child.pid}" for of in ("cmdline", "environ")),
    }
    assert sightings({"another": secrets.token_urlsafe(24)}, places) == []


def _planted(database: Path, text: str) -> sqlite3.Connection:
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE secret (other, value)")
    db.execute("INSERT INTO secret VALUES (1, ?)", (text,))
    return db
