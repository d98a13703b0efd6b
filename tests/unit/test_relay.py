"""What lies between programs in tests leaves nothing behind that another test would stumble over."""

import asyncio
import gc
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.support.loopback import answers, loopback
from tests.support.relay import relay


@pytest.mark.parametrize("turns", range(6))
async def test_whoever_comes_as_it_is_shut_leaves_no_open_socket(turns: int) -> None:
    """However far the loop has come with letting them in. Found when the rubbish is collected."""
    with ExitStack() as callers:
        async with loopback(answers(200)) as far, relay(far.url) as line:
            address = urlsplit(line.url)
            for _ in range(4):
                caller = callers.enter_context(socket.socket())
                caller.setblocking(False)
                caller.connect_ex((address.hostname, address.port))
            for _ in range(turns):
                await asyncio.sleep(0)
    gc.collect()
