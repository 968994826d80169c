// Check: one published run trained again.

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
import {
  capital,
  counted,
  describeRun,
  duration,
  rounded,
  secondsSince,
  wholeNumber,
  withTimeLeft,
} from "./words.js";

export class Check {
  constructor(runs, engine, bytes) {
    Object.assign(this, { runs, bytes });
    // By condition, why its runs cannot be trained here; null if they can.
    this.problems = runs.conditions.map(({ cells }) =>
      engine.supports(runs.identity(runs.values(cells[0].first))),
    );
    const trainable = runs.conditions.filter(({ number }) => !this.problems[number]);
    this.trainable = trainable.flatMap((condition) => runs.runsOf(condition));
    const others = runs.total - this.trainable.length;
    if (others)
      setText(
        byId("possible"),
        `All but ${wholeNumber(others)} can be trained here; the others say why not. `,
      );
    this.choose(runs.find({ ...runs.defaults(), critic_weight: 3 }) ?? this.trainable[0]);
  }

  choose(run) {
    this.trainer?.stop();
    this.run = run;
    this.problem = this.problems[this.runs.condition(run).number];
    this.drawControls();
    const values = this.runs.values(run);
    setText(byId("check-words"), `${capital(describeRun(values, this.runs.defaults()))}.`);
    replace(byId("check-progress"));
    replace(byId("check-result"));
    this.drawButtons(false);
    if (this.problem === null) return;
    const reason = `It cannot be trained in this page (${this.problem}). Elsewhere: `;
    const command = element("code", {}, this.runs.command(values));
    byId("check-result").append(element("p", {}, reason, command));
  }

  drawControls() {
    const { total } = this.runs;
    const onchange = ({ target }) => {
      const number = Number(target.value);
      const isRun = target.value.trim() && Number.isInteger(number) && number >= 0;
      if (isRun && number < total) this.choose(number);
      else target.setAttribute("aria-invalid", "true");
    };
    const random = () =>
      this.choose(this.trainable[Math.floor(Math.random() * this.trainable.length)]);
    replace(
      byId("check-run"),
      labelled(
        `Run, from 0 to ${wholeNumber(total - 1)}`,
        textInput("check-number", this.run, { onchange }),
      ),
      button("Another at random", random, { id: "check-random" }),
    );
  }

  drawButtons(isTraining) {
    const start = {
      id: "check-start",
      class: "main",
      disabled: isTraining || this.problem !== null,
    };
    replace(
      byId("check-buttons"),
      button("Train it again", () => this.train(), start),
      button("Stop", () => this.trainer.stop(), { id: "check-stop", disabled: !isTraining }),
    );
  }

  async train() {
    const { run } = this;
    const values = this.runs.values(run);
    const total = values.num_episodes;
    replace(byId("check-progress"));
    replace(byId("check-result"));
    const progress = progressBar(byId("check-progress"), "Training");
    progress(0, "loading");
    this.drawButtons(true);
    const started = performance.now();
    const trainer = new Trainer(this.bytes);
    this.trainer = trainer;
    try {
      const { digest } = await trainer.train(this.runs.identity(values), (windows) => {
        const done = windows.at(-1)?.episode ?? 0;
        progress(done / total, withTimeLeft(`episode ${rounded(done)}`, started, done, total));
      });
      progress(1, `${counted(total, "episode")} in ${duration(secondsSince(started))}`);
      this.compare(run, digest);
    } catch (error) {
      if (this.run !== run) return; // another was chosen meanwhile
      if (error instanceof Stopped) progress(0, "stopped");
      else byId("check-result").append(element("p", { class: "error" }, error.message));
    } finally {
      trainer.stop();
    }
    if (this.run === run) this.drawButtons(false);
  }

  compare(run, digest) {
    const published = this.runs.digest(run);
    const time = this.runs.outcome(run, "time");
    const outcome =
      time === Infinity
        ? "It never learned the task."
        : `It had learned the task after ${rounded(time)} episodes.`;
    const code = (text) => element("code", {}, text);
    const digests = ["Trained here ", code(digest), ", published ", code(published), "."];
    const elsewhere = ["Elsewhere: ", code(this.runs.command(this.runs.values(run)))];
    const box =
      digest === published
        ? verdict(true, "The same, bit for bit.", digests, outcome, elsewhere)
        : verdict(false, "Different: the digest is not the published one.", digests, elsewhere);
    byId("check-result").append(box);
  }
}
