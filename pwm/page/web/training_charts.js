// The curves of a training while it goes on.
//
// An arm is one of the runs that are trained together: its values, its colour, and `windows`, a list
// for each metric that grows as windows end.

import { axisOf } from "./axis.js";
import { curves, icon } from "./chart.js";
import { byId, element, replace } from "./dom.js";
import { METRICS } from "./figures.js";
import { criticBias } from "./law.js";
import { capital, rounded } from "./words.js";

const SHOWN_METRICS = ["reward", "value_loss", "critic_bias"];
const REDRAW = 120; // milliseconds between drawings, at least
const POINTS = 160; // of a curve, at most
const SPACE_BETWEEN = 18; // charts
// Rules that scale the critic's error or weight, so that the bias is not cTH/2w.
const SCALING_RULES = ["per-loss", "uncertainty", "popart", "return-scale"];

// A metric's curve, in which each point is the mean of as many windows.
function curveOf({ windows, values }, metric) {
  const total = Math.ceil(values.num_episodes / values.log_every);
  const size = Math.max(1, Math.ceil(total / POINTS));
  const curve = [];
  for (let first = 0; first < windows.episode.length; first += size) {
    const part = windows[metric].slice(first, first + size);
    const x = windows.episode[first + part.length - 1];
    curve.push({ x, y: part.reduce((sum, value) => sum + value, 0) / part.length });
  }
  return curve;
}

// The bias that the leak gives the critic, from the policy's entropy.
function predictedBias(arm) {
  const { baseline, returns, balance, critic_weight, episode_length, trial_length } = arm.values;
  const isScaled = returns === "standardised" || SCALING_RULES.includes(balance);
  if (baseline !== "attached" || isScaled) return [];
  const steps = Math.floor(episode_length / trial_length) * trial_length;
  return curveOf(arm, "entropy").map(({ x, y: entropy }) => ({
    x,
    y: criticBias(steps, entropy, critic_weight),
  }));
}

export class TrainingCharts {
  constructor(runs) {
    Object.assign(this, { runs, arms: [], isWaiting: false });
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(
      byId("train-charts"),
    );
  }

  show(arms) {
    this.arms = arms;
    const items = arms.map(({ values, colour }) =>
      element("li", {}, icon(colour), values.baseline),
    );
    if (arms.some(({ values }) => values.baseline === "attached"))
      items.push(element("li", { class: "law-key" }, "bias as predicted, cTH/2w"));
    replace(byId("train-legend"), ...items);
    this.draw();
  }

  // Draws soon, but not for every window that ends.
  redraw() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    setTimeout(() => {
      this.isWaiting = false;
      requestAnimationFrame(() => this.draw());
    }, REDRAW);
  }

  draw() {
    if (!this.arms.length) return;
    const available = byId("train-charts").clientWidth;
    const columns = available > 760 ? 3 : available > 520 ? 2 : 1;
    const width = Math.floor((available - SPACE_BETWEEN * (columns - 1)) / columns);
    byId("train-charts").style.setProperty("--columns", columns);
    replace(byId("train-charts"), ...SHOWN_METRICS.map((metric) => this.chart(metric, width)));
  }

  chart(metric, width) {
    const { label, kind } = METRICS[metric];
    const series = this.arms.map((arm) => ({
      colour: arm.colour,
      points: curveOf(arm, metric),
      law: metric === "critic_bias" ? predictedBias(arm) : [],
    }));
    const values = series.flatMap(({ points, law }) => [...points, ...law]).map(({ y }) => y);
    const { num_episodes, stimulus_set } = this.arms[0].values;
    const isReward = metric === "reward";
    const latest = this.arms.map(
      (arm, index) => `${arm.values.baseline} ${rounded(series[index].points.at(-1)?.y ?? NaN)}`,
    );
    return curves({
      title: label,
      series,
      x: axisOf("linear", [], { low: 0, high: num_episodes }),
      y: axisOf(kind, values.length ? values : [1], isReward ? { low: 0.3, high: 1.03 } : {}),
      width,
      height: Math.min(230, Math.max(180, width * 0.66)),
      xLabel: "episode",
      levels: isReward ? [this.runs.levels[stimulus_set].memoryless] : [],
      description: `${capital(label)} by episode. Latest: ${latest.join(", ")}.`,
    });
  }
}
