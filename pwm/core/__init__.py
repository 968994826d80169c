"""The minimal core, in PyTorch.

In reading order: task, agent, rollout, losses, config, update, trainer; then what they use.
"""
