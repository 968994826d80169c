// Check: a published run trained again, and a random sample of them, with what it shows about all.

import { button, byId, element, progressBar, replace, say, sign } from "./dom.js";
import { drawn, mostWrong } from "./law.js";
import { CORES, costOf, Stopped, Trainer } from "./pool.js";
import { describe } from "./scatter.js";
import { capital, counted, duration, left, plain } from "./words.js";

const SAMPLE = 30; // runs
const LARGEST_SEED = 2 ** 32 - 1;

export class Check {
  constructor(runs, engine, bytes) {
    Object.assign(this, { runs, engine, bytes });
    this.problems = runs.conditions.map(({ cells }) =>
      engine.supports(runs.identity(runs.values(cells[0].first))),
    );
    this.possible = runs.conditions.flatMap(({ number, cells }) =>
      this.problems[number]
        ? []
        : cells.flatMap(({ first, seeds }) =>
            Array.from({ length: seeds }, (_, seed) => first + seed),
          ),
    );
    const others = runs.total - this.possible.length;
    say(
      byId("possible"),
      others
        ? `All but ${others.toLocaleString("en-GB")} can be trained here, and those say why not. `
        : "",
    );
    this.run = runs.find({ ...runs.defaults(), critic_weight: 3 }) ?? this.possible[0];
    this.auditForm();
    this.auditButtons(false);
    this.choose(this.run);
  }

  // One run

  choose(run) {
    this.trainer?.stop();
    this.run = run;
    this.controls();
    say(byId("check-words"), `${capital(describe(this.runs, run))}.`);
    replace(byId("check-progress"));
    replace(byId("check-result"));
    this.buttons(false);
    const problem = this.problems[this.runs.condition(run).number];
    if (problem)
      byId("check-result").append(
        element(
          "p",
          {},
          `It cannot be trained in this page (${problem}). Elsewhere: `,
          element("code", {}, this.runs.command(this.runs.values(run))),
        ),
      );
  }

  controls() {
    const changed = (event) => {
      const number = Number(event.target.value);
      if (
        Number.isInteger(number) &&
        number >= 0 &&
        number < this.runs.total &&
        event.target.value.trim()
      )
        this.choose(number);
      else event.target.setAttribute("aria-invalid", "true");
    };
    const input = element("input", {
      id: "check-number",
      inputmode: "numeric",
      autocomplete: "off",
      value: this.run,
      onchange: changed,
    });
    const random = () =>
      this.choose(this.possible[Math.floor(Math.random() * this.possible.length)]);
    replace(
      byId("check-run"),
      element(
        "label",
        { class: "field", for: "check-number" },
        element("span", {}, `Run, from 0 to ${(this.runs.total - 1).toLocaleString("en-GB")}`),
        input,
      ),
      button("Another at random", random, { id: "check-random" }),
    );
  }

  buttons(training) {
    const problem = this.problems[this.runs.condition(this.run).number];
    replace(
      byId("check-buttons"),
      button("Train it again", () => this.again(), {
        id: "check-start",
        class: "main",
        disabled: training || problem !== null,
      }),
      button("Stop", () => this.trainer.stop(), { id: "check-stop", disabled: !training }),
    );
  }

  async again() {
    const { run } = this;
    const values = this.runs.values(run);
    replace(byId("check-progress"));
    replace(byId("check-result"));
    const progress = progressBar(byId("check-progress"), "Training");
    progress(0, "loading");
    this.buttons(true);
    const started = performance.now();
    const trainer = new Trainer(this.bytes);
    this.trainer = trainer;
    try {
      const { digest } = await trainer.train(this.runs.identity(values), (windows) => {
        const done = windows.at(-1)?.episode ?? 0;
        progress(
          Number(done) / values.num_episodes,
          `episode ${plain(Number(done))}; ${left(started, Number(done), values.num_episodes)}`,
        );
      });
      progress(
        1,
        `${counted(values.num_episodes, "episode")} in ${duration((performance.now() - started) / 1000)}`,
      );
      this.told(run, digest);
    } catch (error) {
      if (this.run !== run) return;
      if (error instanceof Stopped) progress(0, "stopped");
      else byId("check-result").append(element("p", { class: "error" }, error.message));
    } finally {
      trainer.stop();
    }
    if (this.run === run) this.buttons(false);
  }

  told(run, digest) {
    const published = this.runs.digest(run);
    const time = this.runs.outcome(run, "time");
    const outcome =
      time === Infinity
        ? "It never learned the task."
        : `It had learned the task after ${plain(time)} episodes.`;
    const digests = [
      "Trained here ",
      element("code", {}, digest),
      ", published ",
      element("code", {}, published),
      ".",
    ];
    const isSame = digest === published;
    const title = isSame
      ? "The same, bit for bit."
      : "Different: the digest is not the published one.";
    const where = ["Elsewhere: ", element("code", {}, this.runs.command(this.runs.values(run)))];
    byId("check-result").append(sign(isSame, title, digests, ...(isSame ? [outcome] : []), where));
  }

  // A random sample

  auditForm() {
    const field = (id, label, value) =>
      element(
        "label",
        { class: "field", for: id },
        element("span", {}, label),
        element("input", { id, inputmode: "numeric", autocomplete: "off", value }),
      );
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    replace(
      byId("audit-form"),
      field("audit-count", "Runs to draw", SAMPLE),
      field("audit-seed", "Seed of the draw", seed),
      element("button", { hidden: true }),
    );
    byId("audit-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.audit();
    });
  }

  auditButtons(training) {
    const cores = CORES === 1 ? "one core" : `all ${CORES} cores`;
    replace(
      byId("audit-buttons"),
      button(`Draw and train on ${cores}`, () => this.audit(), {
        id: "audit-start",
        class: "main",
        disabled: training,
      }),
      button("Stop", () => this.trainers.forEach((each) => each.stop()), {
        id: "audit-stop",
        disabled: !training,
      }),
    );
  }

  whole(id, name, least, most) {
    const input = byId(id);
    const text = input.value.trim();
    const value = Number(text);
    input.removeAttribute("aria-invalid");
    if (text && Number.isInteger(value) && value >= least && value <= most) return value;
    input.setAttribute("aria-invalid", "true");
    say(
      byId("audit-error"),
      `${name} ${text || "(empty)"}: expected a whole number from ${least} to ${most.toLocaleString("en-GB")}.`,
    );
    return null;
  }

  async audit() {
    say(byId("audit-error"), "");
    const count = this.whole("audit-count", "Runs to draw", 1, this.possible.length);
    const seed = count && this.whole("audit-seed", "Seed", 0, LARGEST_SEED);
    if (seed === null) return;
    const sample = drawn(this.possible.length, count, seed).map((place) => {
      const run = this.possible[place];
      const values = this.runs.values(run);
      return { run, values, cost: costOf(values, this.runs.pairs), done: 0, digest: null };
    });
    this.auditButtons(true);
    this.table(sample);
    replace(byId("audit-result"));
    replace(byId("audit-progress"));
    const progress = progressBar(byId("audit-progress"), counted(count, "run"));
    const total = sample.reduce((sum, { cost }) => sum + cost, 0);
    const started = performance.now();
    const update = () => {
      const done = sample.reduce((sum, { cost, done }) => sum + cost * done, 0);
      const finished = sample.filter(({ digest }) => digest).length;
      progress(done / total, `${finished} of ${count} trained; ${left(started, done, total)}`);
    };
    progress(0, "loading");
    let next = 0;
    const problems = [];
    const work = async (trainer) => {
      while (next < sample.length) {
        const each = sample[next++];
        const result = await trainer.train(this.runs.identity(each.values), (windows) => {
          each.done = Number(windows.at(-1)?.episode ?? 0) / each.values.num_episodes;
          update();
        });
        each.digest = result.digest;
        this.row(each);
      }
    };
    this.trainers = Array.from({ length: Math.min(CORES, count) }, () => new Trainer(this.bytes));
    const ended = this.trainers.map((trainer) =>
      work(trainer)
        .catch((error) => error instanceof Stopped || problems.push(error.message))
        .finally(() => trainer.stop()),
    );
    await Promise.all(ended);
    say(byId("audit-error"), problems[0] ?? "");
    const finished = sample.filter(({ digest }) => digest).length;
    progress(finished / count, `${finished} of ${count} trained`);
    this.bound(sample, seed, (performance.now() - started) / 1000);
    this.auditButtons(false);
  }

  // What the sample shows. If it was stopped, only its first runs count, up to the first that was
  // not trained: these are a random sample too, while short runs are more frequent among all.
  bound(sample, seed, seconds) {
    const first = sample.findIndex(({ digest }) => !digest);
    const tried = first < 0 ? sample : sample.slice(0, first);
    const box = byId("audit-result");
    if (!tried.length)
      return box.append(element("p", {}, "Stopped before the first run was trained."));
    const total = this.possible.length;
    const wrong = tried.filter(({ run, digest }) => digest !== this.runs.digest(run)).length;
    const most = mostWrong(total, tried.length, wrong);
    const title = `${tried.length - wrong} of ${counted(tried.length, "run")} ${wrong ? "are" : tried.length === 1 ? "is" : "are"} the same, bit for bit.`;
    const share = `${((100 * most) / total).toPrecision(3)}%`;
    const others = this.runs.total - total;
    return box.append(
      sign(
        wrong === 0,
        title,
        `With 95% confidence, at most ${share} of the ${total.toLocaleString("en-GB")} runs differ: ${plain(most)} of them.`,
        `Seed ${seed}; ${duration(seconds)}.${first < 0 ? "" : " Stopped: only the first runs of the sample count."}${others ? ` ${counted(others, "published run")} cannot be trained in this page, and ${others === 1 ? "was" : "were"} not drawn from.` : ""}`,
      ),
    );
  }

  table(sample) {
    byId("audit-details").hidden = false;
    const head = ["Run", "Digest here", "Published", "", "Setting"].map((name) =>
      element("th", { scope: "col" }, name),
    );
    const rows = sample.map((each) => {
      each.cells = [
        element("td", {}, "–"),
        element("td", {}, this.runs.digest(each.run)),
        element("td", {}),
      ];
      return element(
        "tr",
        {},
        element("td", {}, String(each.run)),
        ...each.cells,
        element("td", {}, describe(this.runs, each.run)),
      );
    });
    replace(
      byId("audit-runs"),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows),
    );
  }

  row({ cells: [here, published, verdict], digest }) {
    say(here, digest);
    say(verdict, published.textContent === digest ? "same" : "different");
  }
}
