"""The Router through its vendor's Python SDK: the documented surface of `tripleblind.job`, and nothing else of it."""
