"""Tests of starts and ends: kills, signals, commands, and nothing left behind."""
