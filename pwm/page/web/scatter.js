// All runs at once: critic weight against time to learn, a dot for each.

import { COLOURS } from "./chart.js";
import { byId, choice, element, hideTip, replace, showTip } from "./dom.js";
import { FIXED_COLOURS } from "./figures.js";
import { randomSample } from "./statistics.js";
import { describeRun, labelOf, rounded, valueOf } from "./words.js";

const FIELDS = ["baseline", "returns", "balance", "learning_rate", "episode_length", "hidden_size"];
const SPACE = { left: 52, right: 12, top: 10, bottom: 36 };
const DOT = { size: 2, opacity: 0.55, reach: 12 }; // reach of the pointer
const [LIGHTEST, HEAVIEST] = [0.00042, 1600]; // ends of the axis of weights
const ZERO = 0.0006; // where weight 0 is drawn
const [FASTEST, SLOWEST] = [400, 100000]; // episodes; ends of the axis of times
const ABOVE = 1.22; // height of the chart over that of the axis: runs that never learned are above it
const NEVER_LEARNED_AT = 1.16;
const WEIGHTS = [0, 0.001, 0.01, 0.1, 1, 10, 100, 1000];
const FEW_WEIGHTS = [0, 0.01, 1, 100];
const TIMES = [500, 1000, 10000, 100000, Infinity];

// The red, green and blue of a colour of the style, from 0 to 255.
function rgbOf(pen, name) {
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((start) => parseInt(pen.fillStyle.slice(start, start + 2), 16));
}

// A number from -½ to ½ that belongs to a run, so that dots of one weight do not hide each other.
function jitter(run, salt) {
  let mixed = Math.imul(run ^ salt, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32 - 0.5;
}

export class Scatter {
  // `train(run)` is called when a run is to be trained again.
  constructor(runs, train) {
    Object.assign(this, { runs, train, field: "baseline", hidden: new Set() });
    this.canvas = byId("scatter");
    this.spots = new Float32Array(2 * runs.total); // x and y of each run; NaN if it is hidden
    this.conditions = new Uint16Array(runs.total);
    this.weights = new Float64Array(runs.total);
    this.times = Float64Array.from({ length: runs.total }, (_, run) => runs.outcome(run, "time"));
    for (const { number, cells } of runs.conditions) {
      for (const { weight, first, seeds } of cells) {
        this.conditions.fill(number, first, first + seeds);
        this.weights.fill(weight, first, first + seeds);
      }
    }
    this.order = randomSample(runs.total, runs.total, 1); // so that no condition covers another
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(
      this.canvas.parentElement,
    );
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.canvas.addEventListener("pointermove", (event) => this.tell(event));
    this.canvas.addEventListener("pointerleave", hideTip);
    this.canvas.addEventListener("click", (event) => {
      const run = this.nearest(event);
      if (run !== null) this.train(run);
    });
    this.drawControls();
  }

  drawControls() {
    const fields = FIELDS.filter((name) => this.runs.field[name]);
    const onChoice = (index) => {
      this.field = fields[index];
      this.hidden.clear();
      this.drawControls();
      this.draw();
    };
    const toggles = this.runs.field[this.field].values.map((value, index) => {
      const onchange = ({ target }) => {
        if (target.checked) this.hidden.delete(index);
        else this.hidden.add(index);
        this.draw();
      };
      const box = element("input", { type: "checkbox", checked: true, onchange });
      const dot = element("span", { class: `dot s${this.colour(index)}`, "aria-hidden": "true" });
      return element("label", { class: "toggle" }, box, dot, valueOf(this.field, value));
    });
    const options = fields.map((name) => ({ text: labelOf(name) }));
    replace(
      byId("scatter-controls"),
      choice("scatter-colour", "Coloured by", options, fields.indexOf(this.field), onChoice),
      element("span", { class: "toggles" }, ...toggles),
    );
  }

  // The colour of a value of the field that colours the dots, by the value's index.
  colour(index) {
    const value = this.runs.field[this.field].values[index];
    return FIXED_COLOURS[value] ?? (index + (this.field === "baseline" ? 1 : 0)) % COLOURS;
  }

  draw() {
    const { canvas } = this;
    const width = canvas.parentElement.clientWidth;
    const height = Math.round(Math.min(440, Math.max(280, width * 0.5)));
    const scale = devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const inner = {
      width: width - SPACE.left - SPACE.right,
      height: height - SPACE.top - SPACE.bottom,
    };
    const fraction = (value, least, most) => Math.log(value / least) / Math.log(most / least);
    const left = (weight) =>
      SPACE.left + inner.width * fraction(Math.max(weight, ZERO), LIGHTEST, HEAVIEST);
    const top = (time) => {
      const at = time === Infinity ? NEVER_LEARNED_AT : fraction(time, FASTEST, SLOWEST);
      return SPACE.top + inner.height * (1 - at / ABOVE);
    };
    this.drawFrame(pen, left, top, width, height);
    const { values } = this.runs.field[this.field];
    const valueIndex = this.runs.conditions.map((condition) =>
      values.indexOf(condition.values[this.field]),
    );
    const shown = this.order.filter((run) => !this.hidden.has(valueIndex[this.conditions[run]]));
    this.spots.fill(NaN);
    for (const run of shown) {
      const time = this.times[run];
      const spread = time === Infinity ? inner.height * 0.12 : 3;
      this.spots[2 * run] = left(this.weights[run]) + jitter(run, 0x3c6ef372) * inner.width * 0.018;
      this.spots[2 * run + 1] = top(time) + jitter(run, 0x1b873593) * spread;
    }
    const colours = Array.from({ length: COLOURS }, (_, number) => rgbOf(pen, `--s${number}`));
    const ofConditions = valueIndex.map((index) => colours[this.colour(index)]);
    this.drawDots(pen, shown, scale, ofConditions);
  }

  drawFrame(pen, left, top, width, height) {
    const style = getComputedStyle(document.documentElement);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = style.getPropertyValue("--muted");
    pen.strokeStyle = style.getPropertyValue("--line");
    pen.textAlign = "right";
    for (const time of TIMES) {
      pen.fillText(rounded(time), SPACE.left - 6, top(time) + 4);
      pen.beginPath();
      pen.moveTo(SPACE.left, top(time));
      pen.lineTo(width - SPACE.right, top(time));
      pen.stroke();
    }
    pen.textAlign = "center";
    for (const weight of width < 500 ? FEW_WEIGHTS : WEIGHTS)
      pen.fillText(rounded(weight), left(weight), height - 20);
    const middle = (SPACE.left + width - SPACE.right) / 2;
    pen.fillText("critic weight w", middle, height - 4);
  }

  // Draws the dots pixel by pixel, which is many times faster than shapes. `colours` are those of
  // the conditions.
  drawDots(pen, shown, scale, colours) {
    const image = pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    const page = rgbOf(pen, "--page");
    const size = Math.round(DOT.size * scale);
    for (const run of shown) {
      const colour = colours[this.conditions[run]];
      const left = Math.round(this.spots[2 * run] * scale - size / 2);
      const top = Math.round(this.spots[2 * run + 1] * scale - size / 2);
      for (let pixel = 0; pixel < size * size; pixel++) {
        const row = top + Math.floor(pixel / size);
        const at = 4 * (row * image.width + left + (pixel % size));
        const isDrawn = image.data[at + 3] > 0;
        for (let channel = 0; channel < 3; channel++) {
          const below = isDrawn ? image.data[at + channel] : page[channel];
          image.data[at + channel] = below + DOT.opacity * (colour[channel] - below);
        }
        image.data[at + 3] = 255;
      }
    }
    pen.putImageData(image, 0, 0);
  }

  // The run whose dot is nearest to the pointer, or null if none is near.
  nearest(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    let least = DOT.reach ** 2;
    for (let run = 0; run < this.runs.total; run++) {
      const distance = (this.spots[2 * run] - x) ** 2 + (this.spots[2 * run + 1] - y) ** 2;
      if (distance < least) [best, least] = [run, distance];
    }
    return best;
  }

  // Describes the run under the pointer.
  tell(event) {
    const run = this.nearest(event);
    this.canvas.style.cursor = run === null ? "default" : "pointer";
    if (run === null) return hideTip();
    const title = describeRun(this.runs.values(run), this.runs.defaults());
    const time = this.times[run];
    const outcome = time === Infinity ? "never learned" : `learned after ${rounded(time)} episodes`;
    return showTip(event.clientX, event.clientY, title, `${outcome}; click to train it again`);
  }
}
