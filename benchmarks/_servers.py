"""Four servers of one stream, started alike and told the same events."""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks._fan import SERVERS, child
from tests.support.scripted import TOKEN, ScriptedNetwork, scripted_network

_NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
_DESCRIPTORS = "20000"
_LOOK_AGAIN_S = 0.02
_WITHIN_S = 60.0
_LIFE_SIGN_S = 1.0  # as the network that the gateway carries

Publish = Callable[[Sequence[bytes]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One that runs: the process that does the work, where its stream is, and how it is told."""

    pid: int
    port: int
    target: str
    publish: Publish


Start = Callable[[Path], AbstractAsyncContextManager[Server]]


@asynccontextmanager
async def ours(_tools: Path) -> AsyncIterator[Server]:
    """The gateway, whose Access Point tells the events: each goes through the log."""
    async with scripted_network() as network, gateway(network, GATEWAY_STREAMS_EACH="10000") as (pid, port):
        network.life_sign_s = _LIFE_SIGN_S
        yield Server(pid=pid, port=port, target=f"/v1/jobs/{network.job_id}/events", publish=_said_by(network))


@asynccontextmanager
async def gateway(network: ScriptedNetwork, **settings: str) -> AsyncIterator[tuple[int, int]]:
    """A gateway in front of this network, which follows its job; process and port."""
    await network.router_says("running")
    with tempfile.TemporaryDirectory() as folder:
        chosen = {"GATEWAY_PORT": "0", "GATEWAY_DATA_DIR": folder, "GATEWAY_ROUTER_URL": network.url} | settings
        command = (sys.executable, "-m", "app", "serve")
        async with child(
            *command, cores=SERVERS, log=Path(folder) / "log", GATEWAY_ROUTER_TOKEN=TOKEN, **chosen
        ) as process:
            port = urlsplit((await _first_line(process)).removeprefix("Serving on ")).port or 0
            async with asyncio.timeout(_WITHIN_S):
                while not network.streams_opened:  # noqa: ASYNC110  (no bell rings for it)
                    await asyncio.sleep(_LOOK_AGAIN_S)
            yield process.pid, port


@asynccontextmanager
async def send_loop(tools: Path) -> AsyncIterator[Server]:
    """send() in C, and nothing else."""
    async with child(str(tools / "send_loop"), cores=SERVERS) as process:
        port = int(await _first_line(process))
        _, publisher = await asyncio.open_connection("127.0.0.1", port)

        async def publish(events: Sequence[bytes]) -> None:
            publisher.write(b"".join(event + b"\n" for event in events))
            await publisher.drain()

        yield Server(pid=process.pid, port=port, target="/", publish=publish)
        publisher.close()


@asynccontextmanager
async def usual(_tools: Path) -> AsyncIterator[Server]:
    """As it is usually done in Python."""
    async with child(sys.executable, "-m", "benchmarks._usual", cores=SERVERS) as process:
        port = int(await _first_line(process))
        async with _posting(port, "/publish") as publish:
            yield Server(pid=process.pid, port=port, target="/events", publish=publish)


@asynccontextmanager
async def nchan(_tools: Path) -> AsyncIterator[Server]:
    """Nginx with its module for this, with one worker, as the others have one process."""
    nginx, port = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), _free_port()
    assert nginx is not None  # noqa: S101  (`nchan_is_here` was asked)
    with tempfile.TemporaryDirectory() as folder:
        async with child(nginx, "-p", folder, "-c", _configured(folder, port), cores=SERVERS) as master:
            worker = await _only_child(master.pid)
            async with _posting(port, "/publish") as publish:
                yield Server(pid=worker, port=port, target="/events", publish=publish)


def _configured(folder: str, port: int) -> str:
    """The file that says so."""
    Path(folder).chmod(0o755)  # its worker may be another user
    file = Path(folder) / "nginx.conf"
    file.write_text(_CONFIGURATION.format(module=_NCHAN, folder=folder, port=port, files=_DESCRIPTORS))
    return str(file)


def nchan_is_here() -> bool:
    """Whether the Debian packages nginx and libnginx-mod-nchan are installed."""
    return _NCHAN.exists()


_CONFIGURATION = """
load_module {module};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  nchan_shared_memory_size 512M;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location = /publish {{
      nchan_publisher;
      nchan_channel_id stream;
      nchan_message_buffer_length 20000;
      nchan_message_timeout 1h;
    }}
    location = /events {{
      nchan_subscriber eventsource;
      nchan_channel_id stream;
      nchan_subscriber_first_message oldest;
    }}
  }}
}}
"""


def _said_by(network: ScriptedNetwork) -> Publish:
    async def publish(events: Sequence[bytes]) -> None:
        await network.stream_says(*events)

    return publish


@asynccontextmanager
async def _posting(port: int, path: str) -> AsyncIterator[Publish]:
    """Each event in a request of its own, on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "

    async def publish(events: Sequence[bytes]) -> None:
        for event in events:
            writer.write(head.encode() + str(len(event)).encode() + b"\r\n\r\n" + event)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = next(line for line in answer.split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(size.partition(b":")[2]))

    yield publish
    writer.close()


async def _first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
    async with asyncio.timeout(_WITHIN_S):
        return (await process.stdout.readline()).decode().strip()


async def _only_child(pid: int) -> int:
    """Once there is one: by then it listens."""
    async with asyncio.timeout(_WITHIN_S):
        while not (found := _children(pid)):  # noqa: ASYNC110  (no bell rings for it)
            await asyncio.sleep(_LOOK_AGAIN_S)
    return found[0]


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
