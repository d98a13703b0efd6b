"""What the way to a Router may lack."""

from typing import TypeVar

from app.domain.errors import FeatureLacking

T = TypeVar("T")


def offered(feature: T | None, what: str) -> T:
    """The feature. Raises FeatureLacking, saying what it is, where there is none."""
    if feature is None:
        raise FeatureLacking(
            f"{what} cannot be had here: the documented SDK, through which this gateway reaches its Router, has no call "
            "for it. Use the Router's own pages, or a gateway with GATEWAY_ROUTER=http."
        )
    return feature
