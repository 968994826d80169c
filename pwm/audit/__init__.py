"""Audits the published runs: trains a random sample of them again."""
