"""Tests through the public door: what programs ask and are answered."""
