"""The tables the carried network starts with: rows of a real, public data set, split between the teams."""
