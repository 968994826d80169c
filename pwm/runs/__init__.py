"""Grids of runs, trained and stored: experiments, shards, the store, workers, schedulers."""
