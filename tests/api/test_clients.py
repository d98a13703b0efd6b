"""What clients do that no standard asks of them."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.gateway import WITHIN_S, Gateway

Json = dict[str, Any]

_BODY = json.dumps({"job_name": "declined offer", "operation": "NONE"}).encode()
_CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(_BODY), _BODY)
_BODIES = {
    "of a length": (b"Content-Length: %d" % len(_BODY), _BODY),
    "in chunks": (b"Transfer-Encoding: chunked", _CHUNKED),
}


@pytest.mark.parametrize("offer", [b"Upgrade: h2c", b"upgrade:h2c ", b"UPGRADE: H2C"])
@pytest.mark.parametrize(("length", "body"), _BODIES.values(), ids=_BODIES.keys())
def test_an_offer_of_http_2_costs_no_body(gateway: Gateway, length: bytes, body: bytes, offer: bytes) -> None:
    """Java's HttpClient makes it with every request; the next request on the connection counts too."""
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\n"
    request = b"\r\n".join([head + offer, length, b"Content-Type: application/json", b"", body])

    with socket.create_connection((urlsplit(gateway.url).hostname, urlsplit(gateway.url).port), WITHIN_S) as connection:
        for _ in range(2):
            connection.sendall(request)
            assert _answer(connection)["field"] == "operation"


@pytest.mark.parametrize("cut", [b"Connection", b"Upgrade: h2c", b"h2c", b"2c", b"\r\nContent-Length", b"Content-Type"])
def test_an_offer_is_declined_wherever_the_head_is_cut(gateway: Gateway, cut: bytes) -> None:
    """Networks cut where they like."""
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    request = b"%sContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%s" % (head, len(_BODY), _BODY)
    first, second = request[: request.index(cut)], request[request.index(cut) :]

    with socket.create_connection((urlsplit(gateway.url).hostname, urlsplit(gateway.url).port), WITHIN_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (first, second, request):
            connection.sendall(piece)
            if piece is not first:
                assert _answer(connection)["field"] == "operation"
            else:
                _wait_until_read(gateway)


def test_bytes_of_a_body_are_never_taken_for_an_offer(gateway: Gateway) -> None:
    """They come in pieces that may look like anything."""
    body = b"text\r\nbefore\r\nUpgrade: h2c\r\nafter\r\n\r\n"
    head = b"POST /v1/assets?name=upgrade HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n"

    with socket.create_connection((urlsplit(gateway.url).hostname, urlsplit(gateway.url).port), WITHIN_S) as connection:
        connection.sendall(head % len(body))
        connection.sendall(body)
        assert _answer(connection)["records"] == 3


def _answer(connection: socket.socket) -> Json:
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += connection.recv(65536)
    head, _, rest = heard.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(rest) < length:
        rest += connection.recv(65536)
    content: Json = json.loads(rest)
    return content


def _wait_until_read(gateway: Gateway) -> None:
    """Another request, answered: by then the server has read what was sent before."""
    with socket.create_connection((urlsplit(gateway.url).hostname, urlsplit(gateway.url).port), WITHIN_S) as other:
        other.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert _answer(other)["status"] == "alive"
