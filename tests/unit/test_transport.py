"""Our transport beside httpx's own, over real sockets: what goes wrong is told alike, and nothing is ever sent twice."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.upstream.connection import Connection
from app.upstream.passage import Passage
from app.upstream.pool import Pool
from app.upstream.transport import PASSAGE, Transport, origin_of
from tests.support.fakes import until
from tests.support.peers import OK, Peer, Script, Talk, peer, secured

LONG_S = 10.0
SHORT_S = 0.2
BROKE = (httpx.ReadError, httpx.RemoteProtocolError)
MEGABYTE = 1 << 20
MUCH = b"x" * (8 * MEGABYTE)

Open = Callable[..., contextlib.AbstractAsyncContextManager[httpx.AsyncClient]]


def stock(tls: ssl.SSLContext, *, at_once: int, kept_idle_s: float) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(
        max_connections=at_once, max_keepalive_connections=at_once if kept_idle_s else 0, keepalive_expiry=kept_idle_s
    )
    return httpx.AsyncHTTPTransport(verify=tls, limits=limits)


def ours(tls: ssl.SSLContext, *, at_once: int, kept_idle_s: float) -> httpx.AsyncBaseTransport:
    return Transport(tls, Pool(at_once=at_once, kept_idle_s=kept_idle_s))


def opener(make: Callable[..., httpx.AsyncBaseTransport]) -> Open:
    @asynccontextmanager
    async def opened(
        *, at_once: int = 8, kept_idle_s: float = LONG_S, tls: ssl.SSLContext | None = None, **timeouts: float
    ) -> AsyncIterator[httpx.AsyncClient]:
        transport = make(tls or ssl.create_default_context(), at_once=at_once, kept_idle_s=kept_idle_s)
        async with httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(LONG_S, **timeouts)) as client:
            yield client

    return opened


@pytest.fixture(params=[stock, ours], ids=["stock", "ours"])
def either(request: pytest.FixtureRequest) -> Open:
    """A client over one of the two."""
    return opener(request.param)


@pytest.fixture
def our_own() -> Open:
    """A client over ours, where it does better."""
    return opener(ours)


@pytest.fixture(scope="module")
def named() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server that is `localhost`, and for clients that trust it."""
    return secured("localhost")


# Scripts


async def answers(talk: Talk) -> None:
    """As it should be."""
    await talk.answers_all()


async def drops(talk: Talk) -> None:
    """Takes a request, and ends the connection."""
    await talk.hears()


async def resets(talk: Talk) -> None:
    """Takes a request, and crashes."""
    await talk.hears()
    talk.resets()


async def hangs(talk: Talk) -> None:
    """Takes a request, and says nothing."""
    await talk.hears()
    await talk.left()


def says(*pieces: bytes) -> Script:
    """Answers so, and ends the connection."""

    async def script(talk: Talk) -> None:
        await talk.hears()
        for piece in pieces:
            await talk.says(piece)
            await asyncio.sleep(0)

    return script


def says_and_stays(answer: bytes) -> Script:
    """Answers all in this way."""

    async def script(talk: Talk) -> None:
        await talk.answers_all(answer)

    return script


def after_one_answer(then: Script) -> Script:
    """Does so on a connection that was good once."""

    async def script(talk: Talk) -> None:
        await talk.hears()
        await talk.says(OK)
        await then(talk)

    return script


# Never twice


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("script", [drops, resets])
async def test_what_was_received_and_dropped_is_told_and_was_sent_once(
    either: Open, script: Script, method: str
) -> None:
    """Nobody knows what became of it: not to be mistaken for a connection that was never made."""
    async with peer(script) as server, either() as client:
        with pytest.raises(BROKE):
            await client.request(method, server.url, content=b"a deed")

    assert [(seen.method, seen.body) for seen in server.seen] == [(method, b"a deed")]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("script", [drops, resets])
async def test_what_is_dropped_on_a_kept_connection_is_not_sent_again(
    either: Open, script: Script, method: str
) -> None:
    """An old connection proves nothing: whoever knows that it may be repeated repeats it."""
    async with peer(after_one_answer(script)) as server, either() as client:
        await client.get(server.url)
        with pytest.raises(BROKE):
            await client.request(method, server.url)

    assert [seen.method for seen in server.seen] == ["GET", method]
    assert server.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_connection_that_ended_while_it_was_idle_is_not_used(either: Open, method: str) -> None:
    """What can be seen to be lost must not lose a request."""
    async with peer(after_one_answer(_nothing)) as server, either() as client:
        await client.get(server.url)
        await server.closed(1)
        answer = await client.request(method, server.url)

    assert answer.status_code == httpx.codes.OK
    assert server.connections == 2


async def _nothing(_: Talk) -> None:
    return


async def test_nobody_there_is_not_received(either: Open) -> None:
    """It may be sent again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    async with either() as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(url, content=b"a deed")


async def test_a_host_without_an_address_is_not_received(either: Open) -> None:
    """A name that was misspelt."""
    async with either() as client:
        with pytest.raises(httpx.ConnectError):
            await client.post("http://nowhere.invalid/", content=b"a deed")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "nowhere", "http:///path"])
async def test_an_address_of_another_kind_is_refused(our_own: Open, url: str) -> None:
    """Nothing is dialled."""
    async with our_own() as client:
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get(url)


# Answers


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX: y\r\n\r\n",
            b"hello",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
    ids=["length", "chunks", "until-close", "1.0", "close", "continue", "hints", "204", "304", "empty"],
)
@pytest.mark.parametrize("dripping", [False, True], ids=["at-once", "byte-by-byte"])
async def test_a_body_is_read_as_its_head_says(either: Open, answer: bytes, body: bytes, *, dripping: bool) -> None:
    """In however many pieces it comes."""
    pieces = [answer[at : at + 1] for at in range(len(answer))] if dripping else [answer]
    async with peer(says(*pieces)) as server, either() as client:
        got = await client.get(server.url)

    assert (got.status_code, got.content) == (int(answer.split()[1]) if b"hello" not in answer else 200, body)
    assert "link" not in got.headers


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["length", "chunk", "no-last-chunk"],
)
async def test_a_body_that_breaks_off_is_told_after_what_has_come(either: Open, answer: bytes) -> None:
    """Half an answer must not look like a whole one."""
    async with peer(says(answer)) as server, either() as client, client.stream("GET", server.url) as response:
        pieces = response.aiter_raw()
        taken = await anext(pieces)
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(pieces)

    assert response.status_code == httpx.codes.OK
    assert b"hello".startswith(taken)


@pytest.mark.parametrize(
    "answer",
    [
        b"220 ready when you are\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nno name\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_told_as_such(either: Open, answer: bytes) -> None:
    """Somebody else listens there."""
    async with peer(says(answer)) as server, either() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)


async def test_another_protocol_is_no_answer(our_own: Open) -> None:
    """Nobody has asked to go on in it."""
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with peer(says(switched)) as server, our_own() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["headers", "header", "interim"],
)
async def test_a_head_without_end_is_not_read_to_its_end(either: Open, head: bytes, again: bytes) -> None:
    """It would fill the memory, however little each wait is."""
    if again.startswith(b"HTTP"):
        either = opener(ours)  # httpx reads interim answers without end
    taken = asyncio.get_running_loop().create_future()

    async def script(talk: Talk) -> None:
        await talk.hears()
        await talk.says(head)
        sent = 0
        try:
            while sent < 64 * MEGABYTE:
                await talk.says(again * 10)
                sent += len(again) * 10
        finally:
            taken.set_result(sent)

    async with peer(script) as server, either() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)
        assert await taken < 32 * MEGABYTE


@pytest.mark.parametrize("between", [b"5;" + b"x" * 1000, b"0\r\n" + b"X: x\r\n" * 200], ids=["extension", "trailer"])
async def test_what_is_between_the_pieces_of_a_body_has_an_end(our_own: Open, between: bytes) -> None:
    """It is neither head nor body, and nobody counts it."""

    async def script(talk: Talk) -> None:
        await talk.hears()
        await talk.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + between)
        while True:
            await talk.says(between[3:])

    async with peer(script) as server, our_own() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)


async def test_a_head_question_has_no_body(either: Open) -> None:
    """Its length is that of the body that it would have had; the connection is good for another."""
    async with peer(says_and_stays(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as server, either() as client:
        answers = [await client.head(server.url) for _ in range(2)]

    assert [(one.content, one.headers["content-length"]) for one in answers] == [(b"", "5")] * 2


async def test_headers_come_as_they_were_sent(either: Open) -> None:
    """Twice the same name, other letters, no value."""
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nEmpty:\r\nContent-Length: 0\r\n\r\n"
    async with peer(says(head)) as server, either() as client:
        answer = await client.get(server.url)

    assert answer.headers.raw[:3] == [(b"Set-Cookie", b"a"), (b"set-cookie", b"b"), (b"Empty", b"")]


async def test_an_answer_that_nobody_asked_for_is_not_the_next_one(our_own: Open) -> None:
    """What stands behind an answer could be anybody's."""
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
    async with peer(says_and_stays(OK + smuggled)) as server, our_own() as client:
        bodies = [(await client.get(server.url)).content for _ in range(3)]

    assert bodies == [b"ok"] * 3
    assert server.connections == 3


async def test_an_interim_answer_behind_a_whole_one_takes_nothing_of_it(our_own: Open) -> None:
    """The headers are those that came with it."""
    late = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    async with peer(says_and_stays(OK + late)) as server, our_own() as client:
        answer = await client.get(server.url)

    assert answer.content == b"ok"
    assert answer.headers["content-length"] == "2"
    assert "link" not in answer.headers


async def test_an_answer_that_is_not_taken_is_not_read(either: Open) -> None:
    """It would be held in memory, for nobody."""
    taken = asyncio.get_running_loop().create_future()

    async def script(talk: Talk) -> None:
        await talk.hears()
        await talk.says(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        taken.set_result(await talk.offers(b"x" * MEGABYTE, at_most=200 * MEGABYTE, until_held_back=16 * MEGABYTE))
        await talk.left()

    async with peer(script) as server, either() as client, client.stream("GET", server.url):
        assert await taken < 100 * MEGABYTE


async def test_an_answer_of_megabytes_comes_whole(either: Open) -> None:
    """However often its reading was held up."""
    pieces = (b"%d" % number * MEGABYTE for number in range(5))
    body = b"".join(pieces)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with peer(says(head, body)) as server, either() as client:
        assert (await client.get(server.url)).content == body


# Requests


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "11"}], ids=["chunks", "length"])
async def test_a_body_is_sent_in_pieces(either: Open, headers: dict[str, str]) -> None:
    """Whether or not its length is known; a piece without bytes does not end it."""
    async with peer(answers) as server, either() as client:
        for _ in range(2):
            pieces = pieces_of(b"hello", b"", b" ", b"world")
            await client.put(server.url, content=pieces, headers=headers)

    assert [seen.body for seen in server.seen] == [b"hello world"] * 2
    assert server.connections == 1


async def test_a_body_of_megabytes_is_sent_whole(either: Open) -> None:
    """However often its sending was held up."""
    async with peer(answers) as server, either() as client:
        await client.put(server.url, content=pieces_of(MUCH, b"end"))

    assert server.seen[0].body == MUCH + b"end"


@pytest.mark.parametrize("length", ["3", "7"], ids=["too-long", "too-short"])
async def test_a_body_that_is_not_as_long_as_was_said_is_not_sent_as_one(our_own: Open, length: str) -> None:
    """Its rest would be the next request."""
    async with peer(answers) as server, our_own() as client:
        with pytest.raises(httpx.LocalProtocolError):
            await client.put(server.url, content=pieces_of(b"hello"), headers={"Content-Length": length})
        assert (await client.get(server.url)).content == b"ok"

    assert server.seen[-1].method == "GET"


async def test_a_body_that_fails_is_not_ended(either: Open) -> None:
    """Whoever receives it must not take it for whole."""
    whole: list[bool] = []

    async def script(talk: Talk) -> None:
        await talk.hears_head()
        whole.append(False)
        await talk.hears()
        whole.append(True)

    async def failing() -> AsyncIterator[bytes]:
        yield b"hello"
        raise ZeroDivisionError

    async with peer(script) as server, either() as client:
        with pytest.raises(ZeroDivisionError):
            await client.put(server.url, content=failing())
        await server.closed(1)

    assert whole in ([], [False])


async def test_a_refusal_while_a_body_is_sent_is_the_answer(either: Open) -> None:
    """Whoever refuses need not have read it all."""

    async def script(talk: Talk) -> None:
        await talk.hears_head()
        await talk.says(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
        await talk.left()

    async with peer(script) as server, either() as client:
        answer = await client.put(server.url, content=pieces_of(MUCH, MUCH))

    assert (answer.status_code, answer.content) == (413, b"no")


async def test_a_refusal_is_heard_though_nobody_reads_on(our_own: Open) -> None:
    """The rest of the body would wait for room until the time is over."""
    heard = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.hears_head()
        await talk.says(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await heard.wait()

    async with peer(script) as server, our_own(at_once=1) as client:
        answer = await client.put(server.url, content=pieces_of(MUCH, MUCH, MUCH))
        heard.set()

        assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
        await server.closed(1)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\0"])
async def test_a_header_cannot_bring_another(either: Open, value: str) -> None:
    """Nor end the head."""
    async with peer(answers) as server, either() as client:
        with pytest.raises(httpx.LocalProtocolError):
            await client.get(server.url, headers={"X": value})

    assert server.seen == []


async def test_a_request_says_whom_it_is_for(either: Open) -> None:
    """With its port."""
    async with peer(answers) as server, either() as client:
        await client.get(f"{server.url}/a%20b?c=d%2Fe")

    assert server.seen[0].headers["host"] == server.url.removeprefix("http://")
    assert server.seen[0].target == "/a%20b?c=d%2Fe"


def has_ipv6() -> bool:
    """Whether this machine can speak to itself by it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
async def test_an_address_may_be_of_the_long_kind(either: Open) -> None:
    """In brackets, also in the head."""
    async with peer(answers, host="::1") as server, either() as client:
        await client.get(server.url)

    assert server.seen[0].headers["host"] == server.url.removeprefix("http://")


# TLS


async def test_a_peer_is_spoken_to_over_tls(either: Open, named: Sequence[ssl.SSLContext]) -> None:
    """As the one whom its certificate names, in HTTP/1.1 though it offers more; the connection is kept."""
    spoken: list[Any] = []

    async def script(talk: Talk) -> None:
        spoken.append(talk._writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await talk.answers_all()

    async with peer(script, tls=named[0]) as server, either(tls=named[1]) as client:
        url = server.url.replace("127.0.0.1", "localhost")
        assert [(await client.post(url, content=b"x")).content for _ in range(3)] == [b"ok"] * 3

    assert spoken == ["http/1.1"]


@pytest.mark.parametrize("trusted", [True, False], ids=["another-name", "not-trusted"])
async def test_a_peer_whose_certificate_is_not_good_receives_nothing(
    either: Open, named: Sequence[ssl.SSLContext], *, trusted: bool
) -> None:
    """Somebody stands between."""
    tls = named[1] if trusted else ssl.create_default_context()
    async with peer(answers, tls=named[0]) as server, either(tls=tls) as client:
        url = server.url if trusted else server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(httpx.ConnectError):
            await client.post(url, content=b"a secret")

    assert server.seen == []


# Time


async def test_a_silence_has_an_end(either: Open) -> None:
    """The request was received."""
    async with peer(hangs) as server, either(read=SHORT_S) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url)

    assert len(server.seen) == 1


async def test_a_silence_in_a_body_has_an_end(either: Open) -> None:
    """Something of it had come."""

    async def script(talk: Talk) -> None:
        await talk.hears()
        await talk.says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
        await talk.left()

    async with peer(script) as server, either(read=SHORT_S) as client, client.stream("GET", server.url) as response:
        with pytest.raises(httpx.ReadTimeout):
            await response.aread()


async def test_a_body_that_is_not_taken_is_given_up(either: Open) -> None:
    """Nobody reads it."""
    over = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.hears_head()
        await over.wait()

    async with peer(script) as server, either(write=SHORT_S) as client:
        with pytest.raises(httpx.WriteTimeout):
            await client.put(server.url, content=pieces_of(*[MUCH] * 4))
        over.set()


async def never_lets_in(talk: Talk) -> None:
    """Whoever wants to speak TLS to it waits."""
    await talk.left()


async def test_a_peer_that_lets_nobody_in_receives_nothing(either: Open, named: Sequence[ssl.SSLContext]) -> None:
    """It is there, and that is all."""
    async with peer(never_lets_in) as server, either(tls=named[1], connect=SHORT_S) as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.post(server.url.replace("http:", "https:"))


# Many at once


async def test_sixty_four_callers_share_eight_connections(either: Open) -> None:
    """Each gets the answer to their own question."""

    async def echoes(talk: Talk) -> None:
        while True:
            body = (await talk.hears()).body
            await talk.says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with peer(echoes) as server, either(at_once=8) as client:
        asked = [b"question %d" % number for number in range(64)]
        answers = await asyncio.gather(*(client.post(server.url, content=one) for one in asked))

    assert [one.content for one in answers] == asked
    assert server.most_open <= 8
    assert len(server.seen) == 64


async def test_who_comes_first_has_the_first_turn(our_own: Open) -> None:
    """Nobody starves."""
    async with peer(answers) as server, our_own(at_once=1) as client:
        await asyncio.gather(*(client.get(f"{server.url}/{number}") for number in range(20)))

    assert [seen.target for seen in server.seen] == [f"/{number}" for number in range(20)]


async def test_who_finds_no_connection_in_time_has_sent_nothing(either: Open) -> None:
    """It may be sent again."""
    async with peer(hangs) as server, either(at_once=1, pool=SHORT_S) as client, _held(client, server):
        with pytest.raises(httpx.PoolTimeout):
            await client.post(server.url)

    assert [seen.method for seen in server.seen] == ["GET"]


@asynccontextmanager
async def _held(client: httpx.AsyncClient, server: Peer) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """While one waits for an answer that does not come."""
    asking = asyncio.create_task(client.get(server.url))
    await until(lambda: bool(server.seen))
    try:
        yield asking
    finally:
        asking.cancel()
        await asyncio.wait([asking])


# Who goes in the middle


async def test_who_leaves_the_line_takes_nobodys_turn(either: Open) -> None:
    """The others move up."""
    release = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.hears()
        await release.wait()
        await talk.says(OK)
        await talk.answers_all()

    async with peer(script) as server, either(at_once=1) as client:
        first, second, third = (asyncio.create_task(client.get(f"{server.url}/{n}")) for n in (1, 2, 3))
        await until(lambda: bool(server.seen))
        second.cancel()
        await asyncio.wait([second])
        release.set()
        assert [(await one).content for one in (first, third)] == [b"ok", b"ok"]

    assert [seen.target for seen in server.seen] == ["/1", "/3"]


async def test_who_leaves_while_an_answer_is_awaited_leaves_room(either: Open) -> None:
    """The connection ends: its answer would be the next one's."""
    async with peer(hangs_at_first()) as server, either(at_once=1) as client:
        async with _held(client, server):
            pass
        await server.closed(1)
        assert (await client.get(server.url)).content == b"ok"

    assert server.connections == 2


def hangs_at_first() -> Script:
    """On the first connection, and is well after that."""
    met: list[Talk] = []

    async def script(talk: Talk) -> None:
        met.append(talk)
        await (hangs if len(met) == 1 else answers)(talk)

    return script


async def test_who_leaves_in_a_body_leaves_room(either: Open) -> None:
    """The rest of it is nobody's."""

    async def script(talk: Talk) -> None:
        await talk.hears()
        await talk.says(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nhel")
        await talk.left()

    async with peer(script) as server, either(at_once=1) as client:
        for closed in (1, 2):
            async with client.stream("GET", server.url) as response:
                assert await anext(response.aiter_raw()) == b"hel"
            await server.closed(closed)


async def test_who_leaves_while_a_body_is_sent_leaves_room(either: Open) -> None:
    """What was sent is no whole request."""
    waits = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"hello"
        waits.set()
        await asyncio.Event().wait()

    async with peer(answers) as server, either(at_once=1) as client:
        sending = asyncio.create_task(client.put(server.url, content=endless()))
        await waits.wait()
        sending.cancel()
        await asyncio.wait([sending])
        await server.closed(1)
        assert (await client.get(server.url)).content == b"ok"


async def test_who_leaves_while_they_are_let_in_leaves_room(either: Open, named: Sequence[ssl.SSLContext]) -> None:
    """Nothing was sent yet."""
    met = asyncio.Event()

    async def script(talk: Talk) -> None:
        met.set()
        await talk.left()

    async with peer(script) as server, either(at_once=1, tls=named[1]) as client:
        for closed in (1, 2):
            met.clear()
            dialling = asyncio.create_task(client.get(server.url.replace("http:", "https:")))
            await met.wait()
            dialling.cancel()
            await asyncio.wait([dialling])
            await server.closed(closed)


# Connections that are kept


async def test_a_connection_is_used_again(either: Open) -> None:
    """Making one costs more than using it."""
    async with peer(answers) as server, either() as client:
        for _ in range(5):
            await client.get(server.url)

    assert (server.connections, len(server.seen)) == (1, 5)


async def test_a_connection_is_kept_for_a_while(our_own: Open) -> None:
    """Also where nobody asks any more: it ends, with a few left or none."""
    async with peer(answers) as server, our_own(kept_idle_s=SHORT_S) as client:
        await asyncio.gather(*(client.get(server.url) for _ in range(5)))
        await client.get(server.url)

        await server.closed(server.connections)


async def test_no_connection_is_kept_where_none_is_to_be(either: Open) -> None:
    """Streams are few and long."""
    async with peer(answers) as server, either(kept_idle_s=0) as client:
        for closed in (1, 2, 3):
            await client.get(server.url)
            await server.closed(closed)


async def test_what_is_kept_ends_with_the_client(either: Open) -> None:
    """Nothing is left open."""
    async with peer(answers) as server:
        async with either() as client:
            await asyncio.gather(*(client.get(server.url) for _ in range(5)))
        await server.closed(server.connections)


async def test_a_connection_leads_to_one_peer(either: Open) -> None:
    """One server's must not be used for another's."""
    async with peer(answers) as one, peer(answers) as other, either() as client:
        for _ in range(2):
            await client.get(one.url)
            await client.get(other.url)

    assert (one.connections, other.connections) == (1, 1)
    assert (len(one.seen), len(other.seen)) == (2, 2)


# How far it came


async def passed(client: httpx.AsyncClient, url: str) -> Passage:
    passage = Passage()
    with contextlib.suppress(httpx.TransportError):
        await client.get(url, extensions={PASSAGE: passage})
    return passage


async def test_a_passage_tells_how_far_a_request_came(our_own: Open) -> None:
    """What its failure means hangs on that."""
    async with peer(after_one_answer(drops)) as server, our_own() as client:
        there, dropped = await passed(client, server.url), await passed(client, server.url)
    async with our_own() as client:
        nobody = await passed(client, server.url)

    assert (there.dialled, there.sent, there.back) == (True, True, True)
    assert (dropped.dialled, dropped.sent, dropped.back) == (False, True, False)
    assert (nobody.dialled, nobody.sent, nobody.back) == (True, False, False)
    assert [one.found_nobody for one in (there, dropped, nobody)] == [False, True, False]


async def test_on_a_connection_that_is_over_nothing_is_sent() -> None:
    """It ended between being made and being used: that is as if nobody was there."""
    async with peer(_nothing) as server:
        connection = await Connection.opened(origin_of(httpx.URL(server.url)), ssl.create_default_context())
        await until(lambda: not connection._is_open)
        passage = Passage()
        with pytest.raises(httpx.ConnectError):
            connection.send(b"POST", b"POST / HTTP/1.1\r\n\r\n", passage)
        connection.abort()

    assert not passage.sent
