// Names of fields and values as the page shows them, and numbers and times as people read them.

const LABELS = {
  critic_weight: "critic weight w",
  seed: "seed",
  episode_length: "steps per episode T",
  trial_length: "steps per trial",
  learning_rate: "learning rate",
  baseline: "baseline",
  returns: "returns",
  balance: "rule",
  policy_reduction: "policy loss",
  num_episodes: "episodes",
  critic_start: "critic’s start",
  carry_state: "LSTM’s state",
  separate_trunks: "networks",
  stimulus_set: "stimuli",
  timeout: "timeouts",
  reward: "reward of a trial",
  hidden_size: "units",
  entropy_weight: "entropy bonus",
  discount: "discount",
  optimism: "bias by hand",
  lost_gradients: "gradients lost",
  tracking_rate: "rate of the mean",
  normalise_advantages: "advantages",
  clip_gradient: "gradient clipped at",
  trunk_rate: "trunk’s relative rate",
  log_every: "window",
  optimizer: "optimiser",
  square_decay: "decay of the squares",
  momentum_decay: "decay of the momentum",
  episodes_per_update: "episodes per update",
  trace_decay: "λ of the returns",
  return_horizon: "returns end with the",
  leaking_targets: "leaking targets",
  value_loss: "error in the value loss",
};

// Fields that `describeRun` does not name as unusual: it always shows them, or never does.
const UNNAMED = [
  "critic_weight",
  "episode_length",
  "trial_length",
  "learning_rate",
  "baseline",
  "returns",
  "num_episodes",
  "seed",
  "log_every",
];

const VALUES = {
  baseline: { attached_head: "attached to the head", attached_trunk: "attached to the trunk" },
  balance: { fixed: "fixed weight", "per-loss": "an optimiser for each loss" },
  policy_reduction: { sum: "summed", mean: "averaged" },
  carry_state: { true: "carried across trials", false: "reset at every trial" },
  separate_trunks: { true: "separate", false: "shared" },
  timeout: { true: "with", false: "without" },
  lost_gradients: { values: "of the values", log_probs: "of the log-probabilities" },
  normalise_advantages: { true: "normalised", false: "as they are" },
  critic_start: { mean: "at the mean return", "fixed-point": "at the leak’s fixed point" },
  clip_gradient: { 0: "no limit" },
  stimulus_set: { pwm0: "one pair (pwm0)", pwm5: "five (pwm5)", pwm7: "seven (pwm7)" },
};

// A field's name in words.
export function labelOf(name) {
  return LABELS[name] ?? name.replaceAll("_", " ");
}

// A text with its first letter as a capital.
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// A field's value in words.
export function valueOf(name, value) {
  const known = VALUES[name]?.[String(value)];
  if (known) return known;
  if (Array.isArray(value)) return value.length ? value.join(", ") : "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? rounded(value) : String(value);
}

// A field's name and value in words.
export function fieldText(name, value) {
  return `${labelOf(name)} ${valueOf(name, value)}`;
}

// A number with up to three significant digits, or all of its digits before the point.
export function rounded(value) {
  if (value === Infinity) return "never";
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1000) return wholeNumber(Math.round(value));
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

// A whole number with all of its digits.
export function wholeNumber(value) {
  return value.toLocaleString("en-GB");
}

// A number with a noun, in singular or plural.
export function counted(number, noun) {
  return `${wholeNumber(number)} ${noun}${number === 1 ? "" : "s"}`;
}

// A time in the largest unit that suits it.
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 90) return counted(Math.max(1, Math.ceil(seconds)), "second");
  if (seconds < 5400) return counted(Math.round(seconds / 60), "minute");
  return `${rounded(seconds / 3600)} hours`;
}

export function secondsSince(started) {
  return (performance.now() - started) / 1000;
}

// A text about work in progress, with the time left as estimated from the work done of all; the
// first half second allows no estimate.
export function withTimeLeft(text, started, done, total) {
  const elapsed = secondsSince(started);
  if (done <= 0 || elapsed <= 0.5) return text;
  return `${text}; ${duration((elapsed * (total - done)) / done)} left`;
}

// A run in words: the fields that matter most, others if they have unusual values, and the seed.
export function describeRun(values, defaults) {
  const { baseline, returns, seed } = values;
  const named = (names) => names.map((name) => fieldText(name, values[name]));
  const unusual = Object.keys(values).filter(
    (name) => !UNNAMED.includes(name) && String(values[name]) !== String(defaults[name]),
  );
  const first = named(["critic_weight", "episode_length", "trial_length", "learning_rate"]);
  const setting = [
    ...first,
    valueOf("baseline", baseline),
    `${returns} returns`,
    ...named(["num_episodes"]),
  ];
  return [...setting, ...named(unusual), `seed ${seed}`].join(", ");
}
