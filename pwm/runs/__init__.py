"""Defines grids of runs, trains them and stores them, on one machine or a cluster."""
