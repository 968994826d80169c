"""Task, agent and losses: what is trained.

The project reproduces a report, called "the notes", on a working-memory task. Its agent is trained
by REINFORCE with a learned baseline that is not detached: the policy loss also trains the critic,
and raises its values. This *leak* may be a mistake, but it is the notes' setting, and studied here.

A *population* is R replicas of the agent, computed together; in training, each has its own seed,
learning rate and critic weight (w, which multiplies the value loss). In this example, two replicas
each play an episode of 20 trials of 3 steps; then the total loss with default settings is
differentiated. `Layout` (`pwm.training.parameters`) packs a replica's weights into P numbers.

    task, agent = TaskConfig(), AgentConfig()
    layout = Layout(agent, task.num_stimuli)
    parameters = layout.initial_parameters(seeds=[0, 1]).requires_grad_()  # [R, P]
    draws = Draws(torch.randint(task.num_pairs, (2, 20)), torch.rand(2, 20, 3))
    episode = Rollout(task, agent).play(layout.weights(parameters), draws)
    returns = discounted_returns(episode.rewards.flatten(1), discount=1.0)  # [R, T], T = 60 steps
    advantages = returns - episode.values.flatten(1)
    policy = policy_loss(episode.log_probs.flatten(1), advantages)
    total = policy + 5.0 * value_loss(advantages)  # [R]: the critic weight is 5
    total.sum().backward()  # each replica's loss depends on its own parameters only

By default, the LSTM is reset at each trial, but returns run to the end of the episode. The critic
cannot tell an early trial from a late one: from the same observations, it learns a mean over both.

Read task, agent, rollout, returns, losses and leak; errors has checks of settings. `pwm.training`
makes parameters and random numbers, adds up the losses, with options that single studies use, and
takes the optimiser's steps. This code is the definition, in PyTorch. The default engine,
`pwm.fused`, computes the same up to rounding, many times faster; it trained the published runs.
`--engine torch` trains with this code.
"""
