// Audit: a random sample of the published runs trained again, and what it shows about all of them.

import {
  byId,
  button,
  element,
  fillTable,
  labelled,
  progressBar,
  replace,
  setText,
  textInput,
  verdict,
} from "./dom.js";
import { CORES, costOf, Stopped, Trainer } from "./pool.js";
import { mostWrong, randomSample } from "./statistics.js";
import {
  counted,
  describeRun,
  duration,
  rounded,
  secondsSince,
  wholeNumber,
  withTimeLeft,
} from "./words.js";

const SAMPLE = 30; // runs
const LARGEST_SEED = 2 ** 32 - 1;

export class Audit {
  // `trainable` lists the runs that can be trained here, `bytes` is the compiled engine.
  constructor(runs, trainable, bytes) {
    Object.assign(this, { runs, trainable, bytes });
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    replace(
      byId("audit-form"),
      labelled("Runs to draw", textInput("audit-count", SAMPLE)),
      labelled("Seed of the draw", textInput("audit-seed", seed)),
      element("button", { hidden: true }), // so that Enter submits
    );
    byId("audit-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.audit();
    });
    this.drawButtons(false);
  }

  drawButtons(isTraining) {
    const start = { id: "audit-start", class: "main", disabled: isTraining };
    const stop = () => this.trainers.forEach((trainer) => trainer.stop());
    replace(
      byId("audit-buttons"),
      button(`Draw and train on ${counted(CORES, "core")}`, () => this.audit(), start),
      button("Stop", stop, { id: "audit-stop", disabled: !isTraining }),
    );
  }

  // The whole number in an input, or null after saying what is wrong.
  read(id, name, least, most) {
    const input = byId(id);
    const text = input.value.trim();
    const value = Number(text);
    input.removeAttribute("aria-invalid");
    if (text && Number.isInteger(value) && value >= least && value <= most) return value;
    input.setAttribute("aria-invalid", "true");
    const expected = `expected a whole number from ${least} to ${wholeNumber(most)}`;
    setText(byId("audit-error"), `${name} ${text || "(empty)"}: ${expected}.`);
    return null;
  }

  async audit() {
    setText(byId("audit-error"), "");
    const count = this.read("audit-count", "Runs to draw", 1, this.trainable.length);
    if (count === null) return;
    const seed = this.read("audit-seed", "Seed", 0, LARGEST_SEED);
    if (seed === null) return;
    const sample = randomSample(this.trainable.length, count, seed).map((index) => {
      const run = this.trainable[index];
      const values = this.runs.values(run);
      const digest = element("td", {}, "–");
      const comparison = element("td", {});
      const cost = costOf(values, this.runs.pairs);
      return { run, values, cost, done: 0, digest: null, cells: { digest, comparison } };
    });
    this.drawButtons(true);
    this.drawTable(sample);
    replace(byId("audit-result"));
    const started = performance.now();
    const problem = await this.trainAll(sample, started);
    setText(byId("audit-error"), problem);
    this.conclude(sample, seed, secondsSince(started));
    this.drawButtons(false);
  }

  // Trains the runs of a sample on all cores; returns the first problem, if any, or "".
  async trainAll(sample, started) {
    replace(byId("audit-progress"));
    const progress = progressBar(byId("audit-progress"), counted(sample.length, "run"));
    const total = sample.reduce((sum, { cost }) => sum + cost, 0);
    const trained = () =>
      `${sample.filter(({ digest }) => digest).length} of ${sample.length} trained`;
    const update = () => {
      const done = sample.reduce((sum, { cost, done }) => sum + cost * done, 0);
      progress(done / total, withTimeLeft(trained(), started, done, total));
    };
    progress(0, "loading");
    let next = 0;
    const trainOn = async (trainer) => {
      while (next < sample.length) await this.trainOne(trainer, sample[next++], update);
    };
    const workers = Math.min(CORES, sample.length);
    this.trainers = Array.from({ length: workers }, () => new Trainer(this.bytes));
    const problems = [];
    const onError = (error) => {
      if (!(error instanceof Stopped)) problems.push(error.message);
    };
    const ended = this.trainers.map((trainer) =>
      trainOn(trainer)
        .catch(onError)
        .finally(() => trainer.stop()),
    );
    await Promise.all(ended);
    progress(sample.filter(({ digest }) => digest).length / sample.length, trained());
    return problems[0] ?? "";
  }

  async trainOne(trainer, member, update) {
    const { run, values, cells } = member;
    const { digest } = await trainer.train(this.runs.identity(values), (windows) => {
      member.done = (windows.at(-1)?.episode ?? 0) / values.num_episodes;
      update();
    });
    member.digest = digest;
    setText(cells.digest, digest);
    setText(cells.comparison, digest === this.runs.digest(run) ? "same" : "different");
  }

  // Says what the sample shows. If it was stopped, only its first runs count, up to the first that
  // was not trained. These are a random sample too; among all that were trained, short runs are more
  // frequent.
  conclude(sample, seed, seconds) {
    const untrained = sample.findIndex(({ digest }) => !digest);
    const isWhole = untrained < 0;
    const tried = isWhole ? sample : sample.slice(0, untrained);
    const box = byId("audit-result");
    if (!tried.length) {
      box.append(element("p", {}, "Stopped before the first run was trained."));
      return;
    }
    const total = this.trainable.length;
    const wrong = tried.filter(({ run, digest }) => digest !== this.runs.digest(run)).length;
    const most = mostWrong(total, tried.length, wrong);
    const verb = tried.length === 1 && !wrong ? "is" : "are";
    const title = `${tried.length - wrong} of ${counted(tried.length, "run")} ${verb} the same, bit for bit.`;
    const share = `${((100 * most) / total).toPrecision(3)}%`;
    const bound = `With 95% confidence, at most ${share} of the ${wholeNumber(total)} runs differ: ${rounded(most)} of them.`;
    const notes = [`Seed ${seed}; ${duration(seconds)}.`];
    if (!isWhole) notes.push("Stopped: only the first runs of the sample count.");
    const others = this.runs.total - total;
    if (others)
      notes.push(
        `${counted(others, "published run")} cannot be trained in this page, and ${others === 1 ? "was" : "were"} not drawn from.`,
      );
    box.append(verdict(wrong === 0, title, bound, notes.join(" ")));
  }

  drawTable(sample) {
    byId("audit-details").hidden = false;
    const defaults = this.runs.defaults();
    fillTable(
      byId("audit-runs"),
      ["Run", "Digest here", "Published", "", "Setting"],
      sample.map(({ run, values, cells }) => [
        run,
        cells.digest,
        this.runs.digest(run),
        cells.comparison,
        describeRun(values, defaults),
      ]),
    );
  }
}
