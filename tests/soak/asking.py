"""Programs that ask the gateway for something and do not rest until they have a definitive answer."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.soak.differences import Difference

Json = dict[str, Any]

_PATIENCE = httpx.Timeout(20)
_WITHIN_S = 150.0
_AGAIN_S = (0.1, 1.5)
_REPEATED = 0.3  # of the definitive answers, to see that they are told again
_OPEN = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was definitively answered: `said` is its number, and the code of its problem if it is one."""

    verb: str
    said: str
    content: Json
    tries: int


class Asking:
    """Sends each request with a key of its own, and again with the same until there is an answer that stands."""

    def __init__(self, url: str, keys: Mapping[str, str]) -> None:
        self.tries = 0
        self.answers = 0
        self.differences: list[Difference] = []
        self._client = httpx.AsyncClient(base_url=url, timeout=_PATIENCE, trust_env=False, verify=False)
        self._keys = keys

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def post(
        self, who: str, path: str, *, verb: str, rng: random.Random, body: Json | None = None, **query: str
    ) -> Answer:
        """The definitive answer."""
        headers = {"Authorization": f"Bearer {self._keys[who]}", "Idempotency-Key": f"{rng.getrandbits(128):032x}"}
        request = self._client.build_request("POST", path, headers=headers, json=body, params=query)
        tries = 0
        async with asyncio.timeout(_WITHIN_S):
            while True:
                tries += 1
                answer = await self._sent(request)
                if answer is not None and not _is_open(answer):
                    break
                await asyncio.sleep(rng.uniform(*_AGAIN_S))
        self.answers += 1
        if rng.random() < _REPEATED:
            await self._repeat(request, answer)
        return Answer(verb=verb, said=_said(answer), content=answer.json(), tries=tries)

    async def get(self, who: str, path: str, **query: str) -> Json:
        """What is there, for somebody; it must be."""
        headers = {"Authorization": f"Bearer {self._keys[who]}"}
        answer = await self._client.get(path, headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        content: Json = answer.json()
        return content

    async def _sent(self, request: httpx.Request) -> httpx.Response | None:
        """None: no answer came."""
        self.tries += 1
        try:
            return await self._client.send(request)
        except httpx.TransportError:
            return None

    async def _repeat(self, request: httpx.Request, first: httpx.Response) -> None:
        """One more time: the same, and marked as told again; a fault may leave it without an answer."""
        again = await self._sent(request)
        if again is None or _is_open(again):
            return
        there, here = (_without_its_own(answer) for answer in (first, again))
        if (again.status_code, here) != (first.status_code, there):
            what = f"{request.url.path} answers differently when it is repeated"
            self.differences.append(
                Difference(what=what, ours=f"{_said(again)} {here}", theirs=f"{_said(first)} {there}")
            )
        if again.headers.get("Idempotency-Replayed") != "true":
            what = f"{request.url.path} was repeated, and the answer does not say that it is told again"
            self.differences.append(Difference(what=what, ours=_said(again), theirs="Idempotency-Replayed: true"))


def _is_open(answer: httpx.Response) -> bool:
    return answer.status_code in _OPEN or _said(answer) == "409 idempotency-key-in-use"


def _said(answer: httpx.Response) -> str:
    return str(answer.status_code) if answer.is_success else f"{answer.status_code} {answer.json().get('code')}"


def _without_its_own(answer: httpx.Response) -> Json:
    content: Json = answer.json()
    return {name: value for name, value in content.items() if name != "request_id"}
