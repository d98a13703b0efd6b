"""The client for Python, used as its users use it: blocking, against a gateway and a network that run."""
