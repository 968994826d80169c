// Predictions of the paper's laws for cells of published runs, or null where none applies.

import {
  climbSlowdown,
  criticBias,
  meanReturn,
  noiseWeight,
  slowdown,
  startEntropy,
  valueFloor,
} from "./law.js";
import { same } from "./runs.js";

const PIECE = 15; // milliseconds
const LIGHT = 0.1; // weight of the critic that slowdowns are relative to
const OF_THE_CLIMB = [
  "baseline",
  "critic_start",
  "critic_weight",
  "episode_length",
  "hidden_size",
  "learning_rate",
  "num_episodes",
  "reward",
  "seed",
  "trial_length",
  "log_every",
  "probe_episodes",
  "probe_at",
];
const OF_THE_NOISE = [...OF_THE_CLIMB, "policy_reduction", "separate_trunks"].filter(
  (name) => name !== "critic_start",
);
const OF_THE_BIAS = [
  ...OF_THE_CLIMB,
  "policy_reduction",
  "separate_trunks",
  "carry_state",
  "entropy_weight",
];

export class Laws {
  constructor(runs, settings) {
    this.runs = runs;
    this.settings = settings;
    this.usual = runs.defaults();
    this.slowdowns = new Map();
    this.wanted = new Map();
  }

  // Whether all fields but some have their defaults.
  within(values, allowed) {
    return Object.entries(values).every(
      ([name, value]) => allowed.includes(name) || same(value, this.usual[name]),
    );
  }

  steps(values) {
    return Math.floor(values.episode_length / values.trial_length) * values.trial_length;
  }

  // Times to learn of the runs of the setting with some values changed, or null.
  times(values, changes) {
    const wanted = { ...values, ...changes };
    const setting = this.settings.all.find(({ values: theirs }) =>
      this.settings.names.every((name) => same(theirs[name], wanted[name])),
    );
    const found = setting?.cells.get(wanted.critic_weight);
    return found ? found.map((run) => this.runs.outcome(run, "time")) : null;
  }

  start(values, weight) {
    if (typeof values.critic_start === "number") return values.critic_start;
    const mean = meanReturn(0.5, this.steps(values) / values.trial_length, values.reward);
    if (values.critic_start === "mean" || values.baseline === "detached") return mean;
    return mean + criticBias(this.steps(values), startEntropy(values.trial_length), weight);
  }

  // The law of the climb, or null if it has yet to be computed; see `compute`.
  climb(values, weight) {
    const setting = {
      steps: this.steps(values),
      weight,
      start: this.start(values, weight),
      trialLength: values.trial_length,
      learningRate: values.learning_rate,
      hiddenSize: values.hidden_size,
      reward: values.reward,
      attached: values.baseline === "attached",
    };
    const key = JSON.stringify(setting);
    if (!this.slowdowns.has(key)) this.wanted.set(key, setting);
    return this.slowdowns.get(key) ?? null;
  }

  // Computes in short pieces what `climb` could not answer; then calls `known`.
  compute(known) {
    const end = performance.now() + PIECE;
    for (const [key, setting] of this.wanted) {
      this.slowdowns.set(key, climbSlowdown(setting));
      this.wanted.delete(key);
      if (performance.now() > end) break;
    }
    if (this.wanted.size) setTimeout(() => this.compute(known));
    else known();
  }

  // Predicted times to learn of each seed at a weight: {law, times}.
  predicted(values, weight) {
    const attached = values.baseline === "attached";
    if ((attached && weight > 0) || values.baseline === "detached") {
      if (this.within(values, OF_THE_CLIMB)) {
        const light = this.times(values, {
          baseline: "detached",
          critic_start: "mean",
          critic_weight: LIGHT,
        });
        if (light) {
          const factor = this.climb(values, weight);
          return factor && { law: "climb", times: light.map((time) => time * factor) };
        }
      }
    }
    if (attached && weight > 0 && this.within(values, OF_THE_NOISE)) {
      const detached = this.times(values, { baseline: "detached", critic_weight: weight });
      if (detached) {
        const fitted = values.separate_trunks ? 1 : this.runs.noise_constant;
        const noise =
          fitted *
          noiseWeight(this.steps(values), values.trial_length, {
            reduction: values.policy_reduction,
            reward: values.reward,
          });
        return { law: "noise", times: detached.map((time) => time * slowdown(noise / weight)) };
      }
    }
    return null;
  }

  // Predicted bias of the critic given its policy's entropy.
  bias(values, weight, entropy) {
    if (!this.within(values, OF_THE_BIAS) || !["attached", "detached"].includes(values.baseline))
      return null;
    if (values.baseline === "detached") return 0;
    return criticBias(this.steps(values), entropy, weight, values.policy_reduction);
  }

  // Smallest value loss of a detached critic given the success.
  floor(values, success) {
    if (!this.within(values, OF_THE_BIAS) || values.baseline !== "detached") return null;
    const trials = this.steps(values) / values.trial_length;
    return values.reward ** 2 * valueFloor(success, trials, values.carry_state);
  }
}
