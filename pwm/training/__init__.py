"""Training, in PyTorch.

Reading order: start, optimiser, tracking, balance, update, trainer, diagnostics. With the defaults
of `TrainConfig`, tracking, balance and diagnostics have no effect.
"""
