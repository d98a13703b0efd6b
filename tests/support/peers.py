"""A server at the other end of real sockets that does on each connection what its script says, byte by byte; and who it is."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.loopback import Seen

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

_RESET = struct.pack("ii", 1, 0)


class Talk:
    """One connection, as the server has it."""

    def __init__(self, peer: "Peer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peer = peer
        self._reader = reader
        self._writer = writer

    async def hears_head(self) -> Seen:
        """The first part of a request, which counts as seen from here."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        self._peer.seen.append(Seen(method=method, target=target, headers=headers, body=b""))
        return self._peer.seen[-1]

    async def hears(self) -> Seen:
        """A whole request."""
        seen = await self.hears_head()
        body = await self._chunks() if "transfer-encoding" in seen.headers else b""
        body += await self._reader.readexactly(int(seen.headers.get("content-length", "0")))
        whole = Seen(method=seen.method, target=seen.target, headers=seen.headers, body=body)
        self._peer.seen[self._peer.seen.index(seen)] = whole
        return whole

    async def says(self, data: bytes) -> None:
        """Bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def answers_all(self, answer: bytes = OK) -> None:
        """One request after the other, until nobody asks any more."""
        while True:
            await self.hears()
            await self.says(answer)

    async def offers(self, data: bytes, *, at_most: int, until_held_back: int) -> int:
        """The same again and again, until so much of it is not taken; how much was."""
        offered = 0
        transport = self._writer.transport
        while offered < at_most and transport.get_write_buffer_size() < until_held_back:
            self._writer.write(data)
            offered += len(data)
            await asyncio.sleep(0)
        return offered - transport.get_write_buffer_size()

    async def left(self) -> None:
        """Return when the other side has ended the connection."""
        while await self._read():
            pass

    def resets(self) -> None:
        """End the connection as a crash does."""
        there: socket.socket = self._writer.get_extra_info("socket")
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(1 << 16)
        except ConnectionError:
            return b""

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body


Script = Callable[[Talk], Awaitable[None]]


class Peer:
    """What it was asked, and by how many connections: in all, and at a time at most."""

    def __init__(self, script: Script) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self._script = script
        self._closed = asyncio.Condition()
        self._writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def closed(self, connections: int) -> None:
        """Return once so many were closed at this end, too."""
        async with self._closed:
            await self._closed.wait_for(lambda: self.connections - self.open >= connections)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection."""
        self._note(writer)
        try:
            await self._script(Talk(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            try:
                await writer.wait_closed()
            except (ConnectionError, ssl.SSLError):
                pass
            finally:
                self.open -= 1
            async with self._closed:
                self._closed.notify_all()

    async def end(self) -> None:
        """Whatever goes on, it is over."""
        for writer in self._writers.values():
            writer.transport.abort()
        if self._writers:
            await asyncio.wait(self._writers)

    def _note(self, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._writers[task] = writer
        task.add_done_callback(self._writers.pop)
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)


@asynccontextmanager
async def peer(script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Listening on a port of its own."""
    one = Peer(script)
    listening = await asyncio.start_server(one.serve, host, 0, ssl=tls, backlog=100)
    port = listening.sockets[0].getsockname()[1]
    one.url = f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        yield one
    finally:
        listening.close()
        await one.end()


def secured(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server of this name, and for clients that trust it."""
    certificate, key = _certificate(name)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_bytes(key + certificate)
        server.load_cert_chain(file)
    server.set_alpn_protocols(["h2", "http/1.1"])
    client.load_verify_locations(cadata=certificate.decode())
    return server, client


@cache
def _certificate(name: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), secret
