"""The audit of the published runs: a random sample of them is trained again."""
