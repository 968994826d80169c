"""Task, agent and losses: what is trained.

The project reproduces a report on a working-memory task, "the notes". Its agent is trained by
REINFORCE with a learned baseline that is not detached: the policy loss also trains the critic, and
raises its values. This *leak* may be a mistake, but it is the notes' setting, and is studied here.

A *run* trains one replica of the agent, as its configuration says. Runs that differ only in seed,
learning rate and critic weight (the weight of the value loss) can be trained together, as the R
replicas of a population.

Read task, agent, rollout, returns, losses, episode, leak: random draws (`DrawSource`) give an
episode (`Rollout.play`), its rewards give returns, returns and values give advantages, and these
give the losses (`episode_losses`); `play_episode` does all but draw. The others are for reference:
parameters and loss_config, which say how parameters are stored and what each option of the losses
does; config, history, streams, errors. Two things may look needless: zeros that pad parameters, and
returns in blocks of steps. They keep a replica's bits the same, alone and in a population.

`pwm.training` steps against the gradient of the losses. This code is the definition, in PyTorch.
The default engine, `pwm.fused`, computes the same up to rounding, many times faster; it trained the
published runs. `--engine torch` trains with this code; CONTRIBUTING says what to change in both.
"""
