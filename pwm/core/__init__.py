"""Task, agent and losses: what is trained.

The project reproduces a report, called "the notes", on a working-memory task. Its agent is trained
by REINFORCE with a learned baseline that is not detached: the policy loss also trains the critic,
and raises its values. This *leak* may be a mistake, but it is the notes' setting, and studied here.

A *population* is R replicas of the agent, trained together; each has its own seed, and may have its
own learning rate and critic weight (the weight of the value loss). Here each of two replicas plays
an episode, and its total loss is differentiated:

    task, seeds = TaskConfig(), [0, 1]
    agent = Agent(AgentConfig(), task.num_stimuli)
    parameters = agent.layout.initial_parameters(seeds).requires_grad_()
    trials, noise = DrawSource(task, seeds).next(1)  # random numbers; [0]: of the only episode
    episode = Rollout(task, agent).play(parameters, Draws(trials[0], noise[0]))
    returns = discounted_returns(episode.rewards.flatten(1), discount=1.0)  # [R, T]
    advantages = returns - episode.values.flatten(1)
    policy = policy_loss(episode.log_probs.flatten(1), advantages)
    total = policy + 5.0 * value_loss(advantages)  # [R]; the critic weight is 5
    total.sum().backward()  # each replica's loss depends on its own parameters only

By default, the LSTM is reset at each trial, but returns run to the end of the episode: the critic,
which cannot know how many trials are left, learns a mean over the trial's possible places.

Read task, agent (with `Weights`, in parameters), rollout, returns, losses and leak; look things up
in parameters (how weights are stored), streams (random numbers) and errors. A replica's results
have the same bits alone and in a population. At first, skip what serves only this, rounding or
speed: padding (in parameters and returns), `_gate_scale` in agent, scaled noise in `Rollout._act`.

`pwm.training` adds the optimiser, and options that single studies use. This code is the definition,
in PyTorch. The default engine, `pwm.fused`, computes the same up to rounding, many times faster; it
trained the published runs. `--engine torch` trains with this code.
"""
