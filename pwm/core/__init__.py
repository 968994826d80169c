"""Task, agent and losses: what is trained.

The project reproduces a report, called "the notes", on a working-memory task: the agent sees a
stimulus, then after a delay a second one, and reports which was larger. It is trained by REINFORCE
with a learned baseline that is *attached*, not detached: the policy loss also sends a gradient, the
*leak*, into the critic, and raises its values. This may be a mistake, but it is the notes' setting.

Read task, agent, rollout, returns, losses and leak; errors has checks of settings. A *population*
is R replicas of the agent, computed together; in training, each has its own seed, learning rate and
critic weight (w, which multiplies the value loss). A replica's results are the same, bit for bit,
alone and in a population. Where LSTM units (by training) or rewards (in returns) are padded with
zeros, it is only for this.

Here is the gradient for two replicas with default settings. Skim it now; each module explains its
names. Only `Layout`, of `pwm.training.parameters`, is not here: it draws initial weights as a
vector of P numbers per replica, and rearranges vectors into the `Weights` that the agent reads.

    task, agent = TaskConfig(), AgentConfig()
    layout = Layout(agent, task.num_stimuli)
    parameters = layout.initial_parameters(seeds=[0, 1]).requires_grad_()  # [R, P]
    draws = Draws(trials=torch.randint(task.num_pairs, (2, 20)), noise=torch.rand(2, 20, 3))
    episode = Rollout(task, agent).play(layout.weights(parameters), draws)  # 20 trials of 3 steps
    returns = discounted_returns(episode.rewards.flatten(1), discount=1.0)  # [R, 60]
    advantages = returns - episode.values.flatten(1)
    policy = policy_loss(episode.log_probs.flatten(1), advantages)
    total = policy + 5.0 * value_loss(advantages)  # [R]: the critic weight is 5
    total.sum().backward()  # row r of parameters.grad is the gradient of replica r's loss

By default, the LSTM is reset at each trial, but returns run to the end of the episode. So the
critic cannot tell an early trial from a late one: for the same observations, it learns the return's
mean over the trials of an episode, plus the leak's bias.

`pwm.training` makes parameters and random numbers, adds up the losses and takes the optimiser's
steps; it also has options that only single experiments use. This code is the definition, in
PyTorch. The default engine, `pwm.fused`, computes the same up to rounding, many times faster; it
trained the published runs. `--engine torch` trains with this code.
"""
