"""A gateway that reaches its Router through the SDK: our client for Python, over a gateway that speaks to the network."""
