"""Task, agent and losses: what is trained.

The project reproduces a report, called "the notes", on a working-memory task: the agent sees a
stimulus, then after a delay a second one, and reports which was larger. It is trained by REINFORCE
with a learned baseline that is *attached*, not detached: the policy loss also sends a gradient, the
*leak*, into the critic, and raises its values. This may be a mistake, but it is the notes' setting.

Read task, agent, rollout, returns, losses and leak; errors has checks of settings. A *population*
is R replicas of the agent, computed together; in training, each has its own seed, learning rate and
critic weight (w, which multiplies the value loss). A replica has the same bits alone and in a
population: padding serves only this. In short, for two replicas with default settings (skim it now,
each name is explained in its module; `Layout`, of `pwm.training.parameters`, stores a replica's
weights as P numbers):

    task, agent = TaskConfig(), AgentConfig()
    layout = Layout(agent, task.num_stimuli)
    parameters = layout.initial_parameters(seeds=[0, 1]).requires_grad_()  # [R, P]
    draws = Draws(trials=torch.randint(task.num_pairs, (2, 20)), noise=torch.rand(2, 20, 3))
    episode = Rollout(task, agent).play(layout.weights(parameters), draws)  # 20 trials of 3 steps
    returns = discounted_returns(episode.rewards.flatten(1), discount=1.0)  # [R, 60]
    advantages = returns - episode.values.flatten(1)
    policy = policy_loss(episode.log_probs.flatten(1), advantages)
    total = policy + 5.0 * value_loss(advantages)  # [R]: the critic weight is 5
    total.sum().backward()  # parameters.grad: that of each replica's own loss

The LSTM is reset at each trial, but returns run to the end of the episode. So the critic cannot
tell an early trial from a late one, though fewer rewards are left in a late one: for the same
observations, it learns the mean return over the trials of an episode.

`pwm.training` makes parameters and random numbers, adds up the losses, with options that single
studies use, and takes the optimiser's steps. This code is the definition, in PyTorch. The default
engine, `pwm.fused`, computes the same up to rounding, many times faster; it trained the published
runs. `--engine torch` trains with this code.
"""
