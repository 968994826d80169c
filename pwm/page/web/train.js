// Train: one setting, with the baseline attached and detached, next to each other.

import {
  byId,
  button,
  element,
  labelled,
  progressBar,
  replace,
  setText,
  textInput,
  verdict,
} from "./dom.js";
import { Stopped, Trainer } from "./pool.js";
import { learning } from "./statistics.js";
import { TrainingCharts } from "./training_charts.js";
import {
  capital,
  counted,
  duration,
  labelOf,
  rounded,
  secondsSince,
  valueOf,
  withTimeLeft,
} from "./words.js";

const COLOURS_OF_BASELINES = { attached: 1, detached: 0 };
const BASELINES = Object.keys(COLOURS_OF_BASELINES);
const NUMBERS = [
  "critic_weight",
  "episode_length",
  "trial_length",
  "learning_rate",
  "num_episodes",
  "seed",
];
const CHOICES = ["returns", "balance"];
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
const PRESETS = {
  "The notes’ setting": NOTES,
  "What we recommend": { ...NOTES, returns: "centred", balance: "per-loss", critic_weight: 1 },
  "A light critic": { ...NOTES, critic_weight: 0.2, episode_length: 15, learning_rate: 0.001 },
  "A heavy one": { ...NOTES, critic_weight: 100, learning_rate: 0.001 },
};

function inputOf(name) {
  return byId(`train-${name}`);
}

export class Train {
  constructor(runs, engine, bytes) {
    Object.assign(this, { runs, engine, bytes, charts: new TrainingCharts(runs) });
    this.arms = []; // of the latest training: one for each baseline
    const presets = Object.entries(PRESETS).map(([name, values]) =>
      button(name, () => {
        this.drawForm(values);
        this.begin();
      }),
    );
    replace(byId("presets"), ...presets);
    byId("train-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin();
    });
    this.drawForm(NOTES);
    this.drawButtons(false);
  }

  // Draws the form with these values; ticked baselines stay ticked, and all are ticked at first.
  drawForm(values) {
    const numbers = NUMBERS.map((name) =>
      labelled(
        capital(labelOf(name)),
        textInput(`train-${name}`, values[name], { inputmode: "decimal" }),
      ),
    );
    const choices = CHOICES.map((name) => {
      const options = this.engine.about.words[name].map((value) =>
        element("option", { value, selected: value === values[name] }, valueOf(name, value)),
      );
      const select = element("select", { id: `train-${name}` }, ...options);
      return labelled(capital(labelOf(name)), select);
    });
    const baselines = BASELINES.map((name) => {
      const checked = inputOf(name)?.checked ?? true;
      const box = element("input", { type: "checkbox", id: `train-${name}`, checked });
      return element("label", { class: "toggle", for: `train-${name}` }, box, name);
    });
    replace(
      byId("train-form"),
      ...numbers,
      ...choices,
      element("span", { class: "toggles" }, ...baselines),
      element("button", { hidden: true }), // so that Enter submits
    );
  }

  drawButtons(isTraining) {
    const start = { id: "train-start", class: "main" };
    const stop = { id: "train-stop", disabled: !isTraining };
    replace(
      byId("train-buttons"),
      button(isTraining ? "Start again" : "Train", () => this.begin(), start),
      button("Stop", () => this.stop(), stop),
    );
  }

  // The values of the run of each baseline that is ticked, or null after saying what is wrong.
  read() {
    const values = this.runs.defaults();
    for (const name of NUMBERS) {
      const input = inputOf(name);
      const text = input.value.trim();
      input.removeAttribute("aria-invalid");
      if (text === "" || Number.isNaN(Number(text))) {
        const problem = `${capital(labelOf(name))} ${text || "(empty)"}: expected a number.`;
        return this.refuse(name, problem);
      }
      values[name] = Number(text);
    }
    for (const name of CHOICES) values[name] = inputOf(name).value;
    const ticked = BASELINES.filter((name) => inputOf(name).checked);
    if (!ticked.length) return this.refuse("attached", "Choose attached, detached or both.");
    const all = ticked.map((baseline) => this.asPublished({ ...values, baseline }));
    for (const one of all) {
      const problem = this.engine.supports(this.runs.identity(one));
      if (!problem) continue;
      const name = NUMBERS.find((each) => problem.startsWith(each));
      return this.refuse(name, `${problem}.`);
    }
    setText(byId("train-error"), "");
    return all;
  }

  // The values with the window length of the same run as published; unchanged if it is not published.
  asPublished(values) {
    const lengths = this.runs.field.log_every.values;
    const known = lengths.find((log_every) => this.runs.find({ ...values, log_every }) !== null);
    return { ...values, log_every: known ?? values.log_every };
  }

  // Shows what is wrong and moves the focus to the control `name`, if there is one; returns null.
  refuse(name, problem) {
    const input = name && inputOf(name);
    if (input) {
      input.setAttribute("aria-invalid", "true");
      input.focus();
    }
    setText(byId("train-error"), problem);
    return null;
  }

  begin() {
    const all = this.read();
    if (!all) return;
    this.stop();
    replace(byId("train-progress"));
    replace(byId("train-result"));
    const arms = all.map((values) => ({
      values,
      colour: COLOURS_OF_BASELINES[values.baseline],
      windows: { episode: [], reward: [], value_loss: [], critic_bias: [], entropy: [] },
    }));
    this.arms = arms;
    this.charts.show(arms);
    this.drawButtons(true);
    const trained = arms.map((arm) => this.train(arm, performance.now()));
    Promise.allSettled(trained).then(() => {
      if (this.arms === arms) this.drawButtons(false);
    });
  }

  stop() {
    for (const { trainer } of this.arms) trainer?.stop();
  }

  async train(arm, started) {
    const { values, windows } = arm;
    const total = values.num_episodes;
    const progress = progressBar(byId("train-progress"), capital(values.baseline));
    arm.trainer = new Trainer(this.bytes);
    progress(0, "loading");
    let done = 0;
    try {
      const result = await arm.trainer.train(this.runs.identity(values), (batch) => {
        for (const window of batch)
          for (const [name, curve] of Object.entries(windows)) curve.push(window[name]);
        done = windows.episode.at(-1) ?? 0;
        progress(done / total, withTimeLeft(`episode ${rounded(done)}`, started, done, total));
        this.charts.redraw();
      });
      progress(1, `${counted(total, "episode")} in ${duration(secondsSince(started))}`);
      this.conclude(values, result);
    } catch (error) {
      if (error instanceof Stopped) progress(done / total, `stopped at episode ${rounded(done)}`);
      else setText(byId("train-error"), error.message);
    } finally {
      arm.trainer.stop();
    }
  }

  // Says whether a run learned, and compares it with the published one, if it is published.
  conclude(values, { history, digest }) {
    const trials = Math.floor(values.episode_length / values.trial_length);
    const levels = this.runs.levels[values.stimulus_set];
    const { learned, time } = learning(history, levels, trials, this.runs.standard_errors);
    const lost = learned ? "" : ", and lost it again";
    const outcome =
      time === Infinity
        ? "has not learned the task"
        : `had learned the task after ${rounded(time)} episodes${lost}`;
    const title = `${capital(values.baseline)}: ${outcome}.`;
    const code = element("code", {}, digest);
    const run = this.runs.find(values);
    const published = run === null ? null : this.runs.digest(run);
    let box;
    if (published === null) {
      const note = ". Not among the published runs; it would be the same on every machine.";
      box = element("p", {}, `${title} Digest `, code, note);
    } else if (published === digest) {
      const note = "This is a published run, and has the same bits. Digest ";
      box = verdict(true, title, [note, code, "."]);
    } else {
      const note = "This is a published run, and its bits differ. Digest ";
      box = verdict(false, title, [note, code, `, published ${published}.`]);
    }
    byId("train-result").append(box);
  }
}
