"""What stored runs say: theory, outcomes, estimates and predictions."""
