"""Training, in PyTorch.

Reading order: streams, draws, parameters, loss_config, config, history, loss_options, episode,
start, optimiser, tracking, balance, update, trainer, diagnostics. With the defaults of
`TrainConfig`, tracking, balance and diagnostics have no effect.
"""
