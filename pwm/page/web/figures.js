// What the charts can show, the paper's figures as links, and the colours that have a meaning.

export const METRICS = {
  learned: { label: "fraction of seeds that learned", kind: "share" },
  time: { label: "episodes to learn (median)", kind: "log" },
  critic_bias: { label: "bias of the critic, in reward", kind: "symlog" },
  value_loss: { label: "value loss, in reward²", kind: "log" },
  reward: { label: "fraction of trials rewarded", kind: "linear" },
  entropy: { label: "entropy of the policy, in nats", kind: "linear" },
  collapsed: { label: "fraction of seeds that collapsed", kind: "share" },
};
export const FIGURES = [
  [
    "The answer",
    "colour=baseline,returns&panels=episode_length&learning_rate=0.001&num_episodes=20000&hide=attached+centred,attached_head+raw,attached_head+centred,attached_trunk+raw",
  ],
  [
    "… at the notes’ rate",
    "colour=baseline,returns&panels=episode_length&learning_rate=0.005&num_episodes=10000&hide=attached+centred",
  ],
  [
    "The notes’ runs",
    "colour=episode_length,num_episodes&learning_rate=0.005&episode_length=60&baseline=attached&hide=6+10000,30+10000,120+10000",
  ],
  ["The leak’s bias", "y=critic_bias&panels=episode_length&learning_rate=0.001&num_episodes=20000"],
  [
    "The price of the bias",
    "y=time&colour=critic_start&panels=episode_length&learning_rate=0.001&num_episodes=20000&baseline=attached",
  ],
  [
    "The climb",
    "y=time&colour=critic_start&learning_rate=0.001&num_episodes=20000&episode_length=60&baseline=detached&hide=7.5,8.25,9",
  ],
  [
    "Separate networks",
    "panels=episode_length&separate_trunks=true&learning_rate=0.001&num_episodes=20000&episode_length=15",
  ],
  [
    "The leak into a part",
    "colour=baseline&learning_rate=0.001&num_episodes=20000&episode_length=15",
  ],
  [
    "Learning rates",
    "x=learning_rate&colour=critic_weight&panels=baseline&num_episodes=10000&episode_length=60&hide=0.02,0.05,0.1,0.5,2,3,10,50",
  ],
  [
    "Collapse",
    "x=learning_rate&y=collapsed&colour=critic_weight&panels=baseline&num_episodes=10000&episode_length=60&hide=0.02,0.05,0.1,0.5,2,3,10,50",
  ],
  [
    "Methods",
    "x=balance&colour=returns&panels=episode_length&learning_rate=0.005&num_episodes=8000&episode_length=60&critic_weight=1&baseline=detached",
  ],
  ["State carried", "carry_state=true&learning_rate=0.001&num_episodes=20000&episode_length=15"],
  [
    "Sizes of the network",
    "panels=hidden_size&learning_rate=0.001&num_episodes=10000&episode_length=15",
  ],
  [
    "Other stimuli",
    "panels=stimulus_set&learning_rate=0.001&num_episodes=20000&episode_length=15&timeout=false",
  ],
];
export const FIXED_COLOURS = {
  attached: 1,
  detached: 0,
  "attached · raw": 1,
  "detached · raw": 0,
  "detached · centred": 2,
  "attached · centred": 3,
};
