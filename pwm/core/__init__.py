"""The minimal core: read task, agent, rollout, losses, config, update, trainer, in this order."""
