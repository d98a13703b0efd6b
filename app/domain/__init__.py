"""The words. Pure values and rules; no I/O and no clock."""
