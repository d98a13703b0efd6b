"""What may stand in a query string, parsed or refused."""

from starlette.requests import Request

from network import refusals

_MOST = 1000
_LARGEST = 2**63 - 1


def position(request: Request, *, epoch: str) -> int:
    """Where a feed starts: `after` if it belongs to this epoch, else the beginning."""
    after = whole_number(request, "after", default=0, most=_LARGEST)
    given = request.query_params.get("epoch")
    return after if given in {None, "", epoch} else 0


def limit(request: Request) -> int:
    """How many items to answer."""
    return whole_number(request, "limit", default=100, most=_MOST)


def whole_number(request: Request, name: str, *, default: int, most: int) -> int:
    """A number from 0 to `most`."""
    text = request.query_params.get(name)
    if text is None or not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise refusals.invalid(name, f"{name} must be a whole number from 0 to {most}.")
    return int(text)
