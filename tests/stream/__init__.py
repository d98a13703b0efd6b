"""Tests of the streams: formats, cuts, resumption, and the order of the last words."""
