"""Which of the forms we can give a caller prefers."""

from collections.abc import Sequence


def choose(accept: str, offered: Sequence[str]) -> str | None:
    """The offered type the Accept header likes best, the first on a tie; None when it likes none."""
    ranges = [_range(part) for part in accept.split(",")]
    weighed = [(_weight(media_type, ranges), media_type) for media_type in offered]
    best, chosen = max(weighed, key=lambda pair: pair[0])
    return chosen if best > 0 else None


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 0.0


def _weight(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    family = f"{media_type.partition('/')[0]}/*"
    # The most specific range that names the type speaks for it.
    for name in (media_type, family, "*/*"):
        for given, quality in ranges:
            if given == name:
                return quality
    return 0.0
