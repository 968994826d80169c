// What the paper's laws predict for cells of published runs; null where no law applies.

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

const PIECE = 15; // milliseconds of computation at once
const LIGHT = 0.1; // weight of the critic that slowdowns are relative to
// Fields that a law covers; the others must have their defaults.
const CLIMB_FIELDS = [
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
const NOISE_FIELDS = [...CLIMB_FIELDS, "policy_reduction", "separate_trunks"].filter(
  (name) => name !== "critic_start",
);
const BIAS_FIELDS = [
  ...CLIMB_FIELDS,
  "policy_reduction",
  "separate_trunks",
  "carry_state",
  "entropy_weight",
];

function stepsOf(values) {
  return Math.floor(values.episode_length / values.trial_length) * values.trial_length;
}

// The value that a critic starts at.
function startOf(values) {
  const { baseline, critic_start: start, critic_weight: weight, reward } = values;
  if (typeof start === "number") return start;
  const mean = meanReturn(0.5, stepsOf(values) / values.trial_length, reward);
  if (start === "mean" || baseline === "detached") return mean;
  return mean + criticBias(stepsOf(values), startEntropy(values.trial_length), weight);
}

// Predictions for a cell, from the values of its fields, the critic weight included.
export class Laws {
  constructor(runs, settings) {
    Object.assign(this, { runs, settings, defaults: runs.defaults() });
    this.slowdowns = new Map(); // computed ones, by their setting in JSON
    this.wanted = new Map(); // settings whose slowdown is yet to be computed
  }

  covers(fields, values) {
    return Object.entries(values).every(
      ([name, value]) => fields.includes(name) || same(value, this.defaults[name]),
    );
  }

  // Times to learn of the published runs with these values after some changes; undefined if there are
  // no such runs.
  times(values, changes) {
    const wanted = { ...values, ...changes };
    const runs = this.settings.find(wanted)?.cells.get(wanted.critic_weight);
    return runs?.map((run) => this.runs.outcome(run, "time"));
  }

  // The slowdown by the law of the climb; undefined if `compute` has yet to compute it.
  climb(values) {
    const setting = {
      steps: stepsOf(values),
      weight: values.critic_weight,
      start: startOf(values),
      trialLength: values.trial_length,
      learningRate: values.learning_rate,
      hiddenSize: values.hidden_size,
      reward: values.reward,
      attached: values.baseline === "attached",
    };
    const key = JSON.stringify(setting);
    if (!this.slowdowns.has(key)) this.wanted.set(key, setting);
    return this.slowdowns.get(key);
  }

  // Computes the slowdowns in `wanted`, in short pieces; then calls `onEnd`.
  compute(onEnd) {
    const end = performance.now() + PIECE;
    for (const [key, setting] of this.wanted) {
      this.slowdowns.set(key, climbSlowdown(setting));
      this.wanted.delete(key);
      if (performance.now() > end) break;
    }
    if (this.wanted.size) setTimeout(() => this.compute(onEnd));
    else onEnd();
  }

  // The slowdown by the leak's noise, which is relative to the same setting detached.
  noise(values) {
    const { critic_weight: weight, policy_reduction: reduction, reward } = values;
    const fitted = values.separate_trunks ? 1 : this.runs.noise_constant;
    const scale = noiseWeight(stepsOf(values), values.trial_length, { reduction, reward });
    return slowdown((fitted * scale) / weight);
  }

  // Predicted time to learn of each seed: {law, times}.
  timesToLearn(values) {
    const { baseline, critic_weight: weight } = values;
    const leaks = baseline === "attached" && weight > 0;
    if ((leaks || baseline === "detached") && this.covers(CLIMB_FIELDS, values)) {
      const changes = { baseline: "detached", critic_start: "mean", critic_weight: LIGHT };
      const light = this.times(values, changes);
      if (light) return scaled("climb", light, this.climb(values));
    }
    if (leaks && this.covers(NOISE_FIELDS, values)) {
      const detached = this.times(values, { baseline: "detached" });
      if (detached) return scaled("noise", detached, this.noise(values));
    }
    return null;
  }

  // Predicted bias of the critic, from its policy's entropy.
  bias(values, entropy) {
    const { baseline, critic_weight: weight, policy_reduction: reduction } = values;
    if (!this.covers(BIAS_FIELDS, values)) return null;
    if (baseline === "detached") return 0;
    return baseline === "attached" ? criticBias(stepsOf(values), entropy, weight, reduction) : null;
  }

  // Least possible value loss of a detached critic, from the fraction of trials rewarded.
  valueLoss(values, success) {
    if (!this.covers(BIAS_FIELDS, values) || values.baseline !== "detached") return null;
    const trials = stepsOf(values) / values.trial_length;
    return values.reward ** 2 * valueFloor(success, trials, values.carry_state);
  }
}

function scaled(law, times, factor) {
  return factor === undefined ? null : { law, times: times.map((time) => time * factor) };
}
