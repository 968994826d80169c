"""Training, in PyTorch. Read start, optimiser, balance, update, trainer, diagnostics."""
