"""Task, agent and losses: what is trained.

The project reproduces a report on a working-memory task, "the notes". Its agent is trained by
REINFORCE with a learned baseline that is not detached: the policy loss also trains the critic, and
raises its values. This *leak* may be a mistake, but it is the notes' setting, and is studied here.

A *run* trains one replica of the agent, as its configuration says. Runs that differ only in seed,
learning rate and critic weight (the weight of the value loss) can be trained together, as the R
replicas of a population. The gradient of one episode of two replicas, with random draws for it:

    config, seeds, one = TrainConfig(), [0, 1], torch.ones(2)
    agent = Agent(config.agent, config.task.num_stimuli)
    parameters = agent.layout.initial_parameters(seeds).requires_grad_()
    draws = Draws(*(part[0] for part in DrawSource(config.task, seeds).next(1)))
    played = play_episode(Rollout(config.task, agent), parameters, draws, config.loss,
                          config.critic_weight * one, Scales(0 * one, one, one, one))
    played.losses.total.sum().backward()  # each replica's loss depends on its parameters only

Read task, agent (with `Weights`, in parameters), rollout, returns, loss_config, losses, episode,
leak; config, history, streams and errors are to look things up in. By default, the LSTM is reset at
each trial, but returns run to the end of the episode: the critic, which cannot know how many trials
are left, learns a mean over them. Many options serve single studies; the defaults leave them out.

`pwm.training` steps against the gradient. This code is the definition, in PyTorch; zeros that pad
parameters and returns keep a replica's bits the same, alone and in a population. The default
engine, `pwm.fused`, computes the same up to rounding, many times faster; it trained the published
runs. `--engine torch` trains with this code; CONTRIBUTING says what to change in both.
"""
