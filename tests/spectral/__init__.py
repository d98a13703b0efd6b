"""Spectral, which reads the API's description as its users' tools will."""
