"""Analysis of stored runs: theory, outcomes, estimates and predictions."""
