"""Task, agent and losses, in PyTorch.

Read task, streams, agent, rollout, returns, losses, leak, config, history. The helpers errors and
fields serve the configurations. The update is in `pwm.training`: episode, optimiser, update.
"""
