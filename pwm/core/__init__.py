"""Task, agent and losses: what is trained.

The project reproduces a report on a working-memory task, "the notes". Its agent is trained by
REINFORCE with a learned baseline that is not detached: the policy loss also trains the critic, and
raises its values. This *leak* may be a mistake, but it is the notes' setting, and is studied here.

A *run* trains one replica of the agent, as its configuration says. Runs that differ only in seed,
learning rate and critic weight (the weight of the value loss) can be trained together, as the R
replicas of a population. The gradient of one episode of two replicas, with random draws for it:

    config, seeds, ones = TrainConfig(), [0, 1], torch.ones(2)
    agent = Agent(config.agent, config.task.num_stimuli)
    parameters = agent.layout.initial_parameters(seeds).requires_grad_()
    trials, noise = DrawSource(config.task, seeds).next(1)  # for one episode
    scales = Scales(centre=0 * ones, spread=ones, error_scale=ones, critic_factor=ones)
    played = play_episode(Rollout(config.task, agent), parameters, Draws(trials[0], noise[0]),
                          config.loss, config.critic_weight * ones, scales)
    played.losses.total.sum().backward()  # each replica's loss depends on its parameters only

Read task, agent (with `Weights`, in parameters), rollout, returns, loss_config (four fields),
losses, episode, leak; look things up in parameters (how weights are stored), config (a run's
settings), history (what training records), streams (random numbers) and errors. By default, the
LSTM is reset at each trial, but returns run to the end of the episode: the critic, which cannot
know how many trials are left, learns a mean over all positions. Many options serve single studies;
at first, skip what the defaults leave out, and whatever serves equal bits and rounding.

`pwm.training` steps against the gradient. This code is the definition, in PyTorch. The default
engine, `pwm.fused`, computes the same up to rounding, many times faster; it trained the published
runs. `--engine torch` trains with this code; CONTRIBUTING says what to change in both.
"""
