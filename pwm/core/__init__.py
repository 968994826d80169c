"""Task, agent and losses, in PyTorch. Read task, agent, rollout, returns, losses, leak."""
