"""The minimal core. Read task, agent, rollout, returns, losses, leak, balance, update, trainer."""
