"""Training, in PyTorch.

Read start, optimiser, tracking, balance, episode, update, trainer, diagnostics.
"""
