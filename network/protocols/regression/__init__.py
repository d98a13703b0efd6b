"""Linear and logistic regression over the rows of several owners, by Newton's method on securely aggregated sums."""
