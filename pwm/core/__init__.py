"""The minimal core. Read task, agent, rollout, returns, losses, balance, start, update, trainer."""
