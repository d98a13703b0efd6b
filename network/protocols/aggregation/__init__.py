"""Secure sums: the initiator learns the sum of what the owners hold, and no owner's part of it.

Pairwise masks as in Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning" (CCS 2017),
without the recovery of parties that drop out: a job whose party drops out fails.
"""
