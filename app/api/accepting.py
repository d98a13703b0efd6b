"""Which of several media types a caller would rather have (RFC 9110, section 12.5.1)."""

from collections.abc import Iterator, Sequence


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The best of those offered; of equally good ones the first that the caller names, else the first offered.

    None: the caller takes none of them. Without a header, or with one that says nothing, anything is taken.
    """
    ranges = list(_ranges(accept))
    if not ranges:
        return offered[0]
    best = max(offered, key=lambda kind: _quality(kind, ranges))
    return best if _quality(best, ranges)[0] > 0 else None


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int]:
    """How much it is wanted, by the most exact range that covers it, and how early that stands."""
    main = kind.partition("/")[0]
    for covering in (kind, f"{main}/*", "*/*"):
        for place, (named, quality) in enumerate(ranges):
            if named == covering:
                return quality, -place
    return 0.0, 0


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        named, *parameters = (word.strip().lower() for word in part.split(";"))
        if named:
            weights = [weight for one in parameters if (weight := _weight(one)) is not None]
            yield named, weights[0] if weights else 1.0


def _weight(parameter: str) -> float | None:
    name, _, value = parameter.partition("=")
    try:
        return min(float(value), 1.0) if name.strip() == "q" else None
    except ValueError:
        return None
