"""Training many runs once: experiments, shards, the store, workers and schedulers."""
