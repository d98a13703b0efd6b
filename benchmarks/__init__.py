"""Questions whose answer is a number: one file a question, results printed as ratios. `make bench` runs them all."""
