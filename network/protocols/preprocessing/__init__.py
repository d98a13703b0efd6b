"""What is done to a table, at the Access Point that holds it, before a job computes on it.

`steps` (the keys) and `foresight` (what comes out) are light, for the Router; the rest is imported only where a job runs.
"""
