"""The minimal core: task, agent, rollout, losses, update and trainer, in PyTorch."""
