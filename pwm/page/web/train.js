// Train: one setting, attached and detached side by side, with curves as they come.

import { axisOf, curves, marker } from "./chart.js";
import { button, byId, element, progressBar, replace, say, shape, sign } from "./dom.js";
import { criticBias, learning } from "./law.js";
import { Stopped, Trainer } from "./pool.js";
import { capital, counted, duration, labelOf, left, plain, valueOf } from "./words.js";

const ARMS = [
  ["attached", 1],
  ["detached", 0],
]; // and their colours
const NUMBERS = [
  "critic_weight",
  "episode_length",
  "trial_length",
  "learning_rate",
  "num_episodes",
  "seed",
];
const CHOICES = {
  returns: ["raw", "centred", "standardised"],
  balance: [
    "fixed",
    "per-loss",
    "stop-trunk",
    "equal",
    "pcgrad",
    "uncertainty",
    "return-scale",
    "popart",
  ],
};
const NOTES = {
  critic_weight: 5,
  episode_length: 60,
  trial_length: 3,
  learning_rate: 0.005,
  num_episodes: 10000,
  seed: 0,
  returns: "raw",
  balance: "fixed",
};
const PRESETS = [
  ["The notes’ setting", NOTES],
  ["What we recommend", { ...NOTES, returns: "centred", balance: "per-loss", critic_weight: 1 }],
  ["A light critic", { ...NOTES, critic_weight: 0.2, episode_length: 15, learning_rate: 0.001 }],
  ["A heavy one", { ...NOTES, critic_weight: 100, learning_rate: 0.001 }],
];
const SHOWN = {
  reward: { label: "fraction of trials rewarded", kind: "linear" },
  value_loss: { label: "value loss, in reward²", kind: "log" },
  critic_bias: { label: "bias of the critic, in reward", kind: "symlog" },
};
const REDRAW = 120; // milliseconds
const POINTS = 160; // of a curve

export class Train {
  constructor(runs, engine, bytes) {
    Object.assign(this, {
      runs,
      engine,
      bytes,
      values: { ...NOTES },
      arms: new Set(["attached", "detached"]),
    });
    const presets = PRESETS.map(([name, values]) => button(name, () => this.preset(values)));
    replace(byId("presets"), ...presets);
    byId("train-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin();
    });
    new ResizeObserver(() => requestAnimationFrame(() => this.chart())).observe(
      byId("train-charts"),
    );
    this.form();
    this.buttons(false);
  }

  preset(values) {
    this.stop();
    this.values = { ...values };
    this.form();
    this.begin();
  }

  form() {
    const field = (name, control) =>
      element(
        "label",
        { class: "field", for: `train-${name}` },
        element("span", {}, capital(labelOf(name))),
        control,
      );
    const number = (name) =>
      field(
        name,
        element("input", {
          id: `train-${name}`,
          inputmode: "decimal",
          autocomplete: "off",
          value: this.values[name],
        }),
      );
    const word = (name) =>
      field(
        name,
        element(
          "select",
          { id: `train-${name}` },
          ...CHOICES[name].map((value) =>
            element(
              "option",
              { value, selected: value === this.values[name] },
              valueOf(name, value),
            ),
          ),
        ),
      );
    const arm = ([name]) => {
      const box = element("input", {
        type: "checkbox",
        id: `train-${name}`,
        checked: this.arms.has(name),
      });
      return element("label", { class: "toggle", for: `train-${name}` }, box, name);
    };
    replace(
      byId("train-form"),
      ...NUMBERS.map(number),
      ...Object.keys(CHOICES).map(word),
      element("span", { class: "toggles" }, ...ARMS.map(arm)),
      element("button", { hidden: true }),
    );
  }

  buttons(training) {
    replace(
      byId("train-buttons"),
      button(training ? "Start again" : "Train", () => this.begin(), {
        id: "train-start",
        class: "main",
      }),
      button("Stop", () => this.stop(), { id: "train-stop", disabled: !training }),
    );
  }

  // The configuration of each arm, or null after saying what is wrong.
  configured() {
    const values = this.runs.defaults();
    for (const name of NUMBERS) {
      const input = byId(`train-${name}`);
      const value = input.value.trim() === "" ? NaN : Number(input.value);
      input.removeAttribute("aria-invalid");
      if (Number.isNaN(value))
        return this.refuse(
          name,
          `${capital(labelOf(name))} ${input.value || "(empty)"}: expected a number.`,
        );
      values[name] = value;
    }
    for (const name of Object.keys(CHOICES)) values[name] = byId(`train-${name}`).value;
    this.arms = new Set(ARMS.map(([name]) => name).filter((name) => byId(`train-${name}`).checked));
    if (!this.arms.size) return this.refuse("attached", "Choose attached, detached or both.");
    const every = [...this.arms].map((baseline) => this.asPublished({ ...values, baseline }));
    for (const each of every) {
      const problem = this.engine.supports(this.runs.identity(each));
      if (problem)
        return this.refuse(
          NUMBERS.find((name) => problem.startsWith(name)),
          `${problem}.`,
        );
    }
    Object.assign(
      this.values,
      Object.fromEntries([...NUMBERS, ...Object.keys(CHOICES)].map((name) => [name, values[name]])),
    );
    say(byId("train-error"), "");
    return every;
  }

  // The run with windows of the length with which it is published, if it is.
  asPublished(values) {
    const lengths = this.runs.field.log_every.values;
    const known = lengths.find((log_every) => this.runs.find({ ...values, log_every }) !== null);
    return { ...values, log_every: known ?? values.log_every };
  }

  refuse(name, text) {
    const input = name && byId(`train-${name}`);
    if (input) {
      input.setAttribute("aria-invalid", "true");
      input.focus();
    }
    say(byId("train-error"), text);
    return null;
  }

  begin() {
    const every = this.configured();
    if (!every) return;
    this.stop();
    replace(byId("train-progress"));
    replace(byId("train-result"));
    this.shown = every.map((values) => ({
      values,
      name: values.baseline,
      colour: ARMS.find(([name]) => name === values.baseline)[1],
      windows: { episode: [], reward: [], value_loss: [], critic_bias: [], entropy: [] },
    }));
    this.legend();
    this.chart();
    this.buttons(true);
    const started = performance.now();
    const trained = this.shown.map((arm) => this.trainArm(arm, started));
    const { shown } = this;
    Promise.allSettled(trained).then(() => this.shown === shown && this.buttons(false));
  }

  async trainArm(arm, started) {
    const { values, windows } = arm;
    const progress = progressBar(byId("train-progress"), capital(arm.name));
    const trainer = new Trainer(this.bytes);
    arm.trainer = trainer;
    progress(0, "loading");
    try {
      const result = await trainer.train(this.runs.identity(values), (batch) => {
        for (const window of batch)
          for (const name of Object.keys(windows)) windows[name].push(window[name]);
        const done = windows.episode.at(-1) ?? 0;
        progress(
          done / values.num_episodes,
          `episode ${plain(done)}; ${left(started, done, values.num_episodes)}`,
        );
        this.redraw();
      });
      const seconds = (performance.now() - started) / 1000;
      progress(1, `${counted(values.num_episodes, "episode")} in ${duration(seconds)}`);
      this.told(arm, result);
    } catch (error) {
      if (error instanceof Stopped)
        progress(
          (windows.episode.at(-1) ?? 0) / values.num_episodes,
          `stopped at episode ${plain(windows.episode.at(-1) ?? 0)}`,
        );
      else say(byId("train-error"), error.message);
    } finally {
      trainer.stop();
    }
  }

  stop() {
    for (const { trainer } of this.shown ?? []) trainer?.stop();
  }

  // Says whether an arm learned, and compares it with the published run, if it is one.
  told({ values, name }, { history, digest }) {
    const trials = Math.floor(values.episode_length / values.trial_length);
    const { learned, time } = learning(
      { episode: [...history.episode].map(Number), reward: history.reward },
      this.runs.levels[values.stimulus_set],
      trials,
      this.runs.standard_errors,
    );
    const outcome = `${capital(name)}: ${time === Infinity ? "has not learned the task" : `had learned the task after ${plain(time)} episodes`}${time < Infinity && !learned ? ", and lost it again" : ""}.`;
    const code = element("code", {}, digest);
    const run = this.runs.find(values);
    const box = byId("train-result");
    if (run === null)
      box.append(
        element(
          "p",
          {},
          `${outcome} Digest `,
          code,
          ". Not among the published runs; it would be the same on every machine.",
        ),
      );
    else {
      const isSame = this.runs.digest(run) === digest;
      box.append(
        sign(isSame, outcome, [
          isSame
            ? "This is a published run, and has the same bits. Digest "
            : "This is a published run, and its bits differ. Digest ",
          code,
          isSame ? "." : `, published ${this.runs.digest(run)}.`,
        ]),
      );
    }
  }

  legend() {
    const items = this.shown.map(({ name, colour }) =>
      element(
        "li",
        {},
        shape(
          "svg",
          { viewBox: "-6 -6 12 12", width: 12, height: 12, "aria-hidden": "true" },
          marker(colour),
        ),
        name,
      ),
    );
    if (this.arms.has("attached"))
      items.push(element("li", { class: "law-key" }, "bias as predicted, cTH/2w"));
    replace(byId("train-legend"), ...items);
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    setTimeout(() => {
      this.waiting = false;
      requestAnimationFrame(() => this.chart());
    }, REDRAW);
  }

  // Curves with at most `POINTS` points, each the mean of as many windows.
  thinned({ windows, values }, name) {
    const all = Math.ceil(values.num_episodes / values.log_every);
    const each = Math.max(1, Math.ceil(all / POINTS));
    const found = [];
    for (let first = 0; first < windows.episode.length; first += each) {
      const part = windows[name].slice(first, first + each);
      const middle = windows.episode[Math.min(first + each, windows.episode.length) - 1];
      found.push({ x: middle, y: part.reduce((sum, value) => sum + value, 0) / part.length });
    }
    return found;
  }

  predicted(arm) {
    const { values, name } = arm;
    const scaled =
      values.returns === "standardised" ||
      ["per-loss", "uncertainty", "popart", "return-scale"].includes(values.balance);
    if (name !== "attached" || scaled) return [];
    const steps = Math.floor(values.episode_length / values.trial_length) * values.trial_length;
    return this.thinned(arm, "entropy").map(({ x, y }) => ({
      x,
      y: criticBias(steps, y, values.critic_weight),
    }));
  }

  chart() {
    if (!this.shown) return;
    const wide = byId("train-charts").clientWidth;
    const columns = wide > 760 ? 3 : wide > 520 ? 2 : 1;
    const width = Math.floor((wide - 18 * (columns - 1)) / columns);
    const height = Math.min(230, Math.max(180, width * 0.66));
    const end = this.shown[0].values.num_episodes;
    const x = axisOf("linear", [0, end], { high: end });
    const drawn = Object.entries(SHOWN).map(([name, { label, kind }]) => {
      const series = this.shown.map((arm) => ({
        colour: arm.colour,
        points: this.thinned(arm, name),
        law: name === "critic_bias" ? this.predicted(arm) : [],
      }));
      const values = series.flatMap(({ points, law }) => [...points, ...law]).map(({ y }) => y);
      const y = axisOf(
        kind,
        values.length ? values : [1],
        name === "reward" ? { low: 0.3, high: 1.03 } : {},
      );
      const memoryless = this.runs.levels[this.shown[0].values.stimulus_set].memoryless;
      const latest = this.shown
        .map((arm) => `${arm.name} ${plain(this.thinned(arm, name).at(-1)?.y ?? NaN)}`)
        .join(", ");
      return curves({
        title: label,
        series,
        x,
        y,
        width,
        height,
        xLabel: "episode",
        lines: name === "reward" ? [memoryless] : [],
        description: `${capital(label)} by episode. Latest: ${latest}.`,
      });
    });
    byId("train-charts").style.setProperty("--columns", columns);
    replace(byId("train-charts"), ...drawn);
  }
}
