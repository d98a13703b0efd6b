"""A Router that answers at once, and two applications to compare the gateway with: each a program that says its port."""

import asyncio
import socket
import sys

import httpx
import uvicorn
import uvloop
from fastapi import FastAPI

TARGET = "/v1/assets/usage?dataset=mercy/t"
ANSWER = b'{"status":"both"}'

_LIFE_SIGN_S = 1.0
_ME = b'{"user":"ann","team":"globex","role":"owner","epoch":"e"}'
_NOTHING = b'{"items":[]}'
_LINE = b'{"epoch":"e","sequence":0,"head":0}\n'
_FEED = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"


class Router(asyncio.Protocol):
    """As cheap as can be, so that what is in front of it is what is measured."""

    _transport: asyncio.Transport
    _head = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a TCP server
        """Somebody asks."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Nobody who asks this one sends a body."""
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            target, self._head = self._head.split(b" ", 2)[1], b""
            self._answer(target)

    def _answer(self, target: bytes) -> None:
        if target.startswith(b"/v1/assets/usage"):
            self._transport.write(_whole(ANSWER))
        elif target.startswith(b"/v1/changes"):
            self._transport.write(_FEED)
            self._tell()
        else:
            self._transport.write(_whole(_ME if target == b"/v1/me" else _NOTHING))

    def _tell(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"%x\r\n%b\r\n" % (len(_LINE), _LINE))
            asyncio.get_running_loop().call_later(_LIFE_SIGN_S, self._tell)


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def _route(listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(Router, sock=listener)
    await server.serve_forever()


def _stock(router_url: str) -> FastAPI:
    """As a question is usually passed on in Python: a client for all, made once."""
    app = FastAPI()
    client = httpx.AsyncClient()

    @app.get("/v1/assets/usage")
    async def usage(dataset: str) -> dict[str, str]:
        answer = await client.get(f"{router_url}/v1/assets/usage", params={"dataset": dataset})
        said: dict[str, str] = answer.json()
        return said

    return app


def _alone() -> FastAPI:
    """The same route, which asks nobody."""
    app = FastAPI()

    @app.get("/v1/assets/usage")
    async def usage(dataset: str) -> dict[str, str]:  # noqa: ARG001  (it is read, as the other's)
        return {"status": "both"}

    return app


def main() -> None:
    """Serve the one that is named on a free port, and say which."""
    which, *rest = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    if which == "router":
        uvloop.run(_route(listener))
        return
    app = _stock(*rest) if which == "stock" else _alone()
    config = uvicorn.Config(app, access_log=False, log_level="error", loop="uvloop", http="httptools")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
