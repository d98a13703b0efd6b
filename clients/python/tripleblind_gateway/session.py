"""A connection to a gateway: one call after another, each with a deadline, and sent again only where that is safe."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self
from uuid import UUID, uuid4

import httpx

from tripleblind_gateway.errors import TripleblindAPIError

Json = dict[str, Any]
Query = Mapping[str, object]

_URL = "http://127.0.0.1:8080"
_CONNECT_S, _ANSWER_S = 5.0, 60.0
# A stream says something every 15 seconds.
_QUIET_S = 45.0
_TRIES, _FIRST_WAIT_S, _LONGEST_WAIT_S = 5, 0.5, 10.0
# Whether it had an effect is unknown, or it surely had none: either is asked again under the same key.
_AGAIN = (429, 502, 503, 504)
_IN_USE = "idempotency-key-in-use"


class Session:
    """Where the gateway is, and who asks it.

    `key` is an API key of the gateway, `router_token` one's own token at the Router, if one has one. What is left out
    is read from TRIPLEBLIND_GATEWAY_URL (http://127.0.0.1:8080 without it), TRIPLEBLIND_GATEWAY_KEY and
    TRIPLEBLIND_GATEWAY_ROUTER_TOKEN.
    """

    def __init__(self, url: str | None = None, key: str | None = None, *, router_token: str | None = None) -> None:
        self.url = (url or os.environ.get("TRIPLEBLIND_GATEWAY_URL") or _URL).rstrip("/")
        key = key or os.environ.get("TRIPLEBLIND_GATEWAY_KEY")
        router_token = router_token or os.environ.get("TRIPLEBLIND_GATEWAY_ROUTER_TOKEN")
        said = {"Authorization": key, "Router-Authorization": router_token}
        headers = {name: f"Bearer {token}" for name, token in said.items() if token}
        timeout = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S)
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def __repr__(self) -> str:
        return f"Session({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def get(self, path: str, query: Query | None = None) -> Json:
        """What is answered to a question. Raises TripleblindAPIError."""
        return self._whole("GET", path, query=query)

    def do(self, path: str, body: object = None) -> Json:
        """What is answered to something that is done once, however often it has to be sent. Raises TripleblindAPIError."""
        return self._whole("POST", path, body=body, headers={"Idempotency-Key": str(uuid4())})

    def upload(self, path: str, content: Iterator[bytes], *, media_type: str, query: Query) -> Json:
        """What is answered to bytes; they are sent once only. Raises TripleblindAPIError."""
        with _told():
            answer = self._client.post(
                path, content=content, params=_given(query), headers={"Content-Type": media_type}
            )
        return _decoded(answer)

    @contextmanager
    def download(
        self, path: str, query: Query | None = None, *, begin: int = 0, tag: str = ""
    ) -> Iterator[httpx.Response]:
        """An answer whose bytes are still to be read, from one on where it is still the same. Raises TripleblindAPIError."""
        headers = {"Range": f"bytes={begin}-", "If-Range": tag} if begin else {}
        with _told(), self._client.stream("GET", path, params=_given(query), headers=headers) as answer:
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            yield answer

    @contextmanager
    def events(self, job_id: UUID | str, *, after: int, text: bool = False) -> Iterator[Iterator[Json]]:
        """A job's events as `{"id", "event", "data"}`, live until its end. Raises TripleblindAPIError and httpx's own."""
        headers = {"Accept": "application/x-ndjson", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(_QUIET_S, connect=_CONNECT_S)
        query = {"format": "text"} if text else {}
        path = f"/v1/jobs/{job_id}/events"
        with self._client.stream("GET", path, params=query, headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            yield (json.loads(line) for line in answer.iter_lines() if line)

    def _whole(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        wait_s = _FIRST_WAIT_S
        for tries_left in reversed(range(_TRIES)):
            try:
                answer = self._client.request(method, path, params=_given(query), json=body, headers=headers)
            except httpx.TransportError as error:
                if not tries_left:
                    raise _not_answered(error) from error
            else:
                is_to_be_asked_again = answer.status_code in _AGAIN or _code(answer) == _IN_USE
                if not is_to_be_asked_again or not tries_left:
                    return _decoded(answer)
                wait_s = max(wait_s, _wanted_wait_s(answer))
            time.sleep(min(wait_s, _LONGEST_WAIT_S))
            wait_s *= 2
        raise AssertionError("the last try returns or raises")


_default: list[Session] = []


def initialize(url: str | None = None, key: str | None = None, *, router_token: str | None = None) -> Session:
    """Make the session that everything uses which is given none."""
    session = Session(url, key, router_token=router_token)
    for before in _default:
        before.close()
    _default[:] = [session]
    return session


def session_or_default(session: Session | None) -> Session:
    """The session, or the one for all, which is made of the environment where nothing else was said."""
    if session is not None:
        return session
    return _default[0] if _default else initialize()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise _not_answered(error) from error


def _not_answered(error: httpx.TransportError) -> TripleblindAPIError:
    return TripleblindAPIError(f"The gateway does not answer: {error or type(error).__name__}.")


def _decoded(answer: httpx.Response) -> Json:
    if not answer.is_success:
        raise _refusal(answer)
    try:
        decoded = answer.json()
    except ValueError as error:
        raise TripleblindAPIError("This is no answer of a gateway's.", status=answer.status_code) from error
    return decoded if isinstance(decoded, dict) else {"items": decoded}


def _refusal(answer: httpx.Response) -> TripleblindAPIError:
    facts = _problem(answer)
    detail = facts.get("detail") or f"The gateway answered {answer.status_code}."
    return TripleblindAPIError(detail, code=facts.get("code", ""), status=answer.status_code, facts=facts)


def _problem(answer: httpx.Response) -> Json:
    try:
        facts = answer.json()
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _code(answer: httpx.Response) -> str:
    return "" if answer.is_success else str(_problem(answer).get("code", ""))


def _wanted_wait_s(answer: httpx.Response) -> float:
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0


def _given(query: Query | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None}
