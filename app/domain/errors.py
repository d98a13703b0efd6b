"""What can go wrong, in our words. Each error is a sentence (`detail`) with a stable `code` and its facts.

GatewayError
├── NotKnown             it does not exist, or this team may not see it
├── Ambiguous            more than one job fits
├── NotNow               the state forbids it
├── KeyReused            an Idempotency-Key stands for another request already
├── KeyInUse             … or for one that is still under way
├── NotAdmitted          no key, or none that is valid
│   └── TooManyAttempts  … too often
├── TooManyStreams       as many are open as there may be
├── NotFromThere         the request comes by a host name or from a web page that is not let in
├── NotYours             another team's to do or to see, another person's, or another role's
├── Invalid              a field is wrong; names it and what is allowed
├── NotOffered           this Router or Access Point cannot do it
├── TooLarge             more bytes than are taken
├── RangeOutside         fewer bytes than were asked for
├── Upstream             the Router or an Access Point …
│   ├── Unreachable      … surely has not received what we sent
│   ├── Unanswered       … may have received it: the outcome is unknown
│   ├── Garbled          … answered what we cannot read
│   └── Rejected         … does not accept the gateway's token
└── StoreAway            our own memory is out of reach
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar


class GatewayError(Exception):
    """Base of all errors that a caller is told about. `replayed`: it is an earlier answer, told again."""

    code: ClassVar[str] = "internal"
    replayed = False

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class NotKnown(GatewayError):
    """It does not exist, or this team may not see it."""

    code = "not-found"


class JobNotKnown(NotKnown):
    """No such job."""

    code = "job-not-found"


class AssetNotKnown(NotKnown):
    """No such asset."""

    code = "asset-not-found"


class RequestNotKnown(NotKnown):
    """No such access request."""

    code = "access-request-not-found"


class AgreementNotKnown(NotKnown):
    """No such agreement."""

    code = "agreement-not-found"


class ResultNotKnown(NotKnown):
    """The job ended without the result asked for."""

    code = "result-not-found"


class Ambiguous(GatewayError):
    """More than one job fits."""

    code = "job-ambiguous"


class NotNow(GatewayError):
    """The state forbids it."""

    code = "job-not-pending"


class JobFinished(NotNow):
    """The job has ended already."""

    code = "job-finished"


class JobNotFinished(NotNow):
    """The job has not ended yet."""

    code = "job-not-finished"


class JobSubmitted(NotNow):
    """The job was submitted before."""

    code = "job-already-submitted"


class AlreadyDecided(NotNow):
    """The access request has the other answer already."""

    code = "already-decided"


class ClientRefReused(NotNow):
    """A create with this reference and another body went before."""

    code = "client-ref-reused"


class KeyReused(GatewayError):
    """An Idempotency-Key stands for another body already."""

    code = "idempotency-key-reused"


class KeyInUse(GatewayError):
    """The first request with this Idempotency-Key is still under way."""

    code = "idempotency-key-in-use"


class NotAdmitted(GatewayError):
    """No key was given."""

    code = "key-missing"


class KeyNotValid(NotAdmitted):
    """The key is unknown, wrong, revoked or expired; which of these is for the log alone."""

    code = "key-invalid"


class TooManyAttempts(NotAdmitted):
    """So many invalid keys at a time that not even their refusals are kept waiting any more."""

    code = "too-many-attempts"


class TooManyStreams(GatewayError):
    """As many streams are open as there may be, of this client or of all."""

    code = "too-many-streams"


class NotFromThere(GatewayError):
    """The request comes from a web page of another origin."""

    code = "origin-not-allowed"


class HostNotAllowed(NotFromThere):
    """The request names a host that the gateway is not."""

    code = "host-not-allowed"


class NotYours(GatewayError):
    """Another team's to do."""

    code = "forbidden"


class RoleForbids(NotYours):
    """The caller's role does not allow it. Facts: `role`, and `roles` that do."""

    code = "role-forbidden"


class NotYourJob(NotYours):
    """The job is another person's."""

    code = "not-your-job"


class StreamNotShared(NotYours):
    """The job's team does not share its status stream. Facts: `owner_team`."""

    code = "stream-not-shared"


class RouterTokenRefused(NotYours):
    """The caller's own Router token is not accepted, or belongs to another team."""

    code = "router-token-refused"


class Invalid(GatewayError):
    """A field is wrong. Facts: `field` (dotted path in the body) and, for a closed set, `allowed`."""

    code = "invalid"


class RegexUnsupported(Invalid):
    """The pattern is none of RE2's."""

    code = "regex-unsupported"


class JobPruned(GatewayError):
    """The job was over for so long that it was removed from the history."""

    code = "job-pruned"


class EventsMissing(Exception):
    """Events after a position have been removed: the log is not whole there. Callers see that in a stream's `gap`."""


class SearchTooCostly(Invalid):
    """Looking for it amongst so many jobs takes too long."""

    code = "search-too-costly"


class NotOffered(GatewayError):
    """Beyond what this Router or Access Point can do."""

    code = "operation-unavailable"


class FeatureLacking(NotOffered):
    """The way to this Router has no such feature."""

    code = "router-lacks-feature"


class NotAcceptable(GatewayError):
    """None of the formats asked for can be made."""

    code = "not-acceptable"


class TooLarge(GatewayError):
    """More bytes than are taken."""

    code = "too-large"


class RangeOutside(GatewayError):
    """None of the bytes asked for are there. Facts: `content_range`, which says how many there are."""

    code = "range-not-satisfiable"


class Upstream(GatewayError):
    """The Router or an Access Point did not do its part; never raised itself."""


class Unreachable(Upstream):
    """Surely not received: it may be sent again."""

    code = "router-unreachable"


class Unanswered(Upstream):
    """Received or not: the outcome is unknown, and nothing is sent again."""

    code = "router-outcome-unknown"


class Garbled(Upstream):
    """Answered what we cannot read."""

    code = "router-garbled"


class Rejected(Upstream):
    """The gateway's own token is not accepted."""

    code = "router-rejects-gateway"


class StoreAway(GatewayError):
    """Our own memory is out of reach."""

    code = "history-unavailable"


def of_code(code: str) -> type[GatewayError]:
    """The error with this code; GatewayError itself for one that there is no more."""
    return _OF_CODE.get(code, GatewayError)


def _all(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _all(narrower)


_OF_CODE: Mapping[str, type[GatewayError]] = {kind.code: kind for kind in _all(GatewayError)}
