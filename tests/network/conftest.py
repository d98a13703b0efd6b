"""The network's own tests run against real processes."""

from tests.support.agreements import agree
from tests.support.network import running_network

__all__ = ["agree", "running_network"]
