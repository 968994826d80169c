"""Training, in PyTorch.

Read start, optimiser, tracking, balance, update, trainer, diagnostics. With the defaults of
`TrainConfig`, tracking, balance and diagnostics have no effect.
"""
