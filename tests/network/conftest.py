"""The network's own tests run against real processes, in a network of their own."""

from tests.support.agreements import agree
from tests.support.network import running_network, shared_network

__all__ = ["agree", "running_network", "shared_network"]
