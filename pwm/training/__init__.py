"""Training, in PyTorch. Read start, optimiser, balance, episode, update, trainer, diagnostics."""
