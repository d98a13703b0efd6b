"""The HTTP clients: one for short calls, one for streams, so that neither waits for the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

_CALLS_AT_ONCE = 64
# Shorter than servers keep an idle connection (five seconds and more): a request that sets out on one just as it is
# closed there has an unknown outcome.
_KEPT_IDLE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """`calls` and `changes` carry the Router's token; `access_points` carries none of its own."""

    calls: httpx.AsyncClient
    changes: httpx.AsyncClient
    access_points: httpx.AsyncClient


@asynccontextmanager
async def open_clients(url: str, *, token: str, call_timeout_s: float, silence_s: float) -> AsyncIterator[Clients]:
    """Clients of one Router. Redirects are refused, and no proxy of the environment is used."""
    headers = {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(
        max_connections=_CALLS_AT_ONCE, max_keepalive_connections=_CALLS_AT_ONCE, keepalive_expiry=_KEPT_IDLE_S
    )
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    # Made once: reading the certificates takes longer than all the rest. SSL_CERT_FILE names those of an own authority.
    tls = httpx.create_ssl_context()
    streaming = httpx.Timeout(call_timeout_s, read=silence_s)
    async with (
        httpx.AsyncClient(
            base_url=url, headers=headers, timeout=call_timeout_s, limits=limits, trust_env=False, verify=tls
        ) as calls,
        httpx.AsyncClient(
            base_url=url, headers=headers, timeout=streaming, limits=unlimited, trust_env=False, verify=tls
        ) as changes,
        httpx.AsyncClient(timeout=streaming, limits=unlimited, trust_env=False, verify=tls) as access_points,
    ):
        yield Clients(calls=calls, changes=changes, access_points=access_points)
