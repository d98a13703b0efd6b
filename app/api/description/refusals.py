"""Which problems each operation may answer with: what its doors refuse, and what only it can."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from app.api.access import OPEN, RIGHTS
from app.api.problems import STATUSES_OF_CODES, Problem
from app.domain.access import MAY, Right, Role
from app.domain.errors import GatewayError

_EVERYWHERE = ("origin-not-allowed", "host-not-allowed", "internal")
_BEHIND_THE_DOOR = ("key-missing", "key-invalid", "too-many-attempts", "history-unavailable", "invalid")
_ON_A_WRITE = ("unsupported-media-type", "too-large")
_OF_JSON = ("malformed",)
_ROUTER_READ = ("router-unreachable", "router-garbled", "router-rejects-gateway", "forbidden")
_ROUTER_CHANGED = (*_ROUTER_READ, "router-outcome-unknown", "router-token-refused")
_ACCESS_POINT = ("not-found",)

_KEYED = ("idempotency-key-reused", "idempotency-key-in-use")
_MADE = ("operation-unavailable", "router-lacks-feature", "client-ref-reused", "job-not-found", *_KEYED)
_SUBMITTED = ("job-already-submitted", "job-finished")
_BY_PATTERN = ("regex-unsupported",)
_RESULT = ("result-not-found", "job-not-finished", *_ACCESS_POINT)
_BYTES = (*_RESULT, "router-lacks-feature", "asset-not-found", "not-acceptable", "range-not-satisfiable")
_LACKING = ("router-lacks-feature",)
_DECIDED = ("router-lacks-feature", "access-request-not-found", "job-not-found", "already-decided", "job-finished")

# What only this operation may say, beside what follows from its place and its right.
_OWN: Mapping[str, Sequence[str]] = {
    "createJob": (*_MADE, *_SUBMITTED, "job-not-pending"),
    "statuses": ("job-not-found", "job-pruned"),
    "findAllJobs": _BY_PATTERN,
    "exportJobs": _BY_PATTERN,
    "findJob": ("job-not-found", "job-ambiguous", "search-too-costly", *_BY_PATTERN),
    "submitJob": (*_SUBMITTED, *_KEYED),
    "cancelJob": ("job-not-pending", "job-finished", *_KEYED),
    "killJob": ("job-finished", "job-not-pending", *_KEYED),
    "jobResult": _RESULT,
    "jobResultTable": _BYTES,
    "jobResultAsset": _BYTES,
    "jobEvents": ("stream-not-shared", "too-many-streams"),
    "events": ("too-many-streams", *_BY_PATTERN),
    "createStreamTicket": ("job-not-found", "job-pruned"),
    **dict.fromkeys(("operations", "assets", "accessRequests", "agreements"), _LACKING),
    "getAsset": ("asset-not-found", *_LACKING),
    "assetUsage": ("asset-not-found",),
    "preflightJob": (*_LACKING, "operation-unavailable", "not-found"),
    "createAgreement": (
        *_LACKING,
        "asset-not-found",
    ),
    "endAgreement": (
        *_LACKING,
        "agreement-not-found",
    ),
    "createAsset": (*_LACKING, "asset-not-found", "not-found"),
    "acceptAccessRequest": _DECIDED,
    "denyAccessRequest": _DECIDED,
    "readyz": ("router-unreachable", "history-unavailable"),
}
# Answered from the history alone, whether or not the Router is in touch.
_WITHOUT_ROUTER = frozenset({"findAllJobs", "findJob", "exportJobs", "statistics", "events"})


def refusals(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    """The responses of an operation that are problems, by status."""
    codes = {*_EVERYWHERE, *_codes(path, method, operation)}
    ordered = sorted(codes, key=lambda code: (STATUSES_OF_CODES[code], code))
    return {
        str(status): _response(list(told))
        for status, told in groupby(ordered, key=lambda code: STATUSES_OF_CODES[code])
    }


def _codes(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    name = operation["operationId"]
    yield from _OWN.get(name, ())
    if path in OPEN:
        return
    yield from _BEHIND_THE_DOOR
    yield from _of_right(RIGHTS[name], method)
    if name not in _WITHOUT_ROUTER:
        yield from _ROUTER_READ
    if "{job_id}" in path:
        yield from ("job-not-found", "job-pruned")
    if method != "get":
        yield from _ON_A_WRITE
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            yield from _OF_JSON


def _of_right(right: Right, method: str) -> Iterator[str]:
    if set(MAY[right]) != set(Role):
        yield "role-forbidden"
    if right is Right.STEER:
        yield "not-your-job"
    if right is not Right.READ and method != "get":
        yield from _ROUTER_CHANGED


def _response(codes: Iterable[str]) -> dict[str, Any]:
    codes = list(codes)
    said = "; ".join(f"`{code}`: {_MEANINGS[code]}" for code in codes)
    schema = {
        "allOf": [{"$ref": f"#/components/schemas/{Problem.__name__}"}, {"properties": {"code": {"enum": codes}}}]
    }
    return {"description": said, "content": {"application/problem+json": {"schema": schema}}}


def _meanings(kind: type[GatewayError]) -> Iterator[tuple[str, str]]:
    yield kind.code, (kind.__doc__ or "").partition("\n")[0].removesuffix(".")
    for narrower in kind.__subclasses__():
        yield from _meanings(narrower)


_MEANINGS: Mapping[str, str] = {
    **dict(_meanings(GatewayError)),
    "internal": "The gateway failed in a way that was not foreseen",
    "malformed": "The body is not JSON",
    "unsupported-media-type": "The body is not sent in a form that is taken",
}
