"""The network's own tests run against real processes."""

from tests.support.network import running_network

__all__ = ["running_network"]
