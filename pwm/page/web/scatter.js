// All runs at once: critic weight against time to learn, a dot for each.

import { COLOURS } from "./chart.js";
import { byId, choice, element, replace } from "./dom.js";
import { drawn } from "./law.js";
import { labelOf, plain, valueOf } from "./words.js";

const FIELDS = ["baseline", "returns", "balance", "learning_rate", "episode_length", "hidden_size"];
const SPACE = { left: 52, right: 12, top: 10, bottom: 36 };
const OPACITY = 0.55; // of a dot
const LEAST = 0.0006; // place of weight 0
const NEVER = 1.22; // place of runs that never learned, above those that did
const [FIRST, LAST] = [400, 100000]; // episodes

// A colour of the style as red, green and blue.
function pixelOf(pen, name) {
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((place) => parseInt(pen.fillStyle.slice(place, place + 2), 16));
}

// A number from 0 to 1 that belongs to a run, so that dots of one weight do not hide each other.
function apart(run, salt) {
  let mixed = Math.imul(run ^ salt, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}

export class Scatter {
  constructor(runs, checked) {
    Object.assign(this, { runs, checked, field: "baseline", hidden: new Set() });
    this.canvas = byId("scatter");
    this.spots = new Float32Array(2 * runs.total);
    this.conditions = new Uint16Array(runs.total);
    this.weights = new Float64Array(runs.total);
    this.times = Float64Array.from({ length: runs.total }, (_, run) => runs.outcome(run, "time"));
    for (const { number, cells } of runs.conditions) {
      for (const { weight, first, seeds } of cells) {
        this.conditions.fill(number, first, first + seeds);
        this.weights.fill(weight, first, first + seeds);
      }
    }
    this.order = drawn(runs.total, runs.total, 1); // at random, so that no condition covers another
    this.options = FIELDS.filter((name) => runs.field[name]);
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(
      this.canvas.parentElement,
    );
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.canvas.addEventListener("pointermove", (event) => this.tip(event, this.nearest(event)));
    this.canvas.addEventListener("pointerleave", () => (byId("tip").hidden = true));
    this.canvas.addEventListener("click", (event) => {
      const run = this.nearest(event);
      if (run !== null) this.checked(run);
    });
    this.controls();
  }

  controls() {
    const options = this.options.map((name) => ({ text: labelOf(name) }));
    const chosen = (place) => {
      this.field = this.options[place];
      this.hidden.clear();
      this.controls();
      this.draw();
    };
    const values = this.runs.field[this.field].values;
    const toggles = values.map((value, place) => {
      const toggled = (event) => {
        if (event.target.checked) this.hidden.delete(place);
        else this.hidden.add(place);
        this.draw();
      };
      const box = element("input", {
        type: "checkbox",
        checked: !this.hidden.has(place),
        onchange: toggled,
      });
      const dot = element("span", { class: `dot s${this.colour(place)}`, "aria-hidden": "true" });
      return element("label", { class: "toggle" }, box, dot, valueOf(this.field, value));
    });
    replace(
      byId("scatter-controls"),
      choice("scatter-colour", "Coloured by", options, this.options.indexOf(this.field), chosen),
      element("span", { class: "toggles" }, ...toggles),
    );
  }

  // For each condition the place of its value among those of the field that colours the dots.
  places() {
    const { values } = this.runs.field[this.field];
    return this.runs.conditions.map((condition) => values.indexOf(condition.values[this.field]));
  }

  colour(place) {
    const value = this.runs.field[this.field].values[place];
    if (value === "attached") return 1;
    if (value === "detached") return 0;
    return (place + (this.field === "baseline" ? 1 : 0)) % COLOURS;
  }

  draw() {
    const { canvas, runs } = this;
    const width = canvas.parentElement.clientWidth;
    const height = Math.round(Math.min(440, Math.max(280, width * 0.5)));
    const scale = devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const inner = {
      width: width - SPACE.left - SPACE.right,
      height: height - SPACE.top - SPACE.bottom,
    };
    const weightAt = (weight) =>
      SPACE.left +
      (inner.width * Math.log(Math.max(weight, LEAST) / (LEAST * 0.7))) /
        Math.log(1600 / (LEAST * 0.7));
    const timeAt = (time) =>
      SPACE.top +
      inner.height *
        (1 -
          (time === Infinity ? NEVER - 0.06 : Math.log(time / FIRST) / Math.log(LAST / FIRST)) /
            NEVER);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = style.getPropertyValue("--muted");
    pen.strokeStyle = style.getPropertyValue("--line");
    pen.textAlign = "right";
    for (const [time, text] of [
      [500, "500"],
      [1000, "1,000"],
      [10000, "10,000"],
      [100000, "100,000"],
      [Infinity, "never"],
    ]) {
      pen.fillText(text, SPACE.left - 6, timeAt(time) + 4);
      pen.beginPath();
      pen.moveTo(SPACE.left, timeAt(time));
      pen.lineTo(width - SPACE.right, timeAt(time));
      pen.stroke();
    }
    pen.textAlign = "center";
    for (const weight of width < 500 ? [0, 0.01, 1, 100] : [0, 0.001, 0.01, 0.1, 1, 10, 100, 1000])
      pen.fillText(plain(weight), weightAt(weight), height - 20);
    pen.fillText("critic weight w", SPACE.left + inner.width / 2, height - 4);
    this.spots.fill(NaN);
    const place = (run) => {
      const time = this.times[run];
      const spread = time === Infinity ? inner.height * 0.12 : 3;
      this.spots[2 * run] =
        weightAt(this.weights[run]) + (apart(run, 0x3c6ef372) - 0.5) * inner.width * 0.018;
      this.spots[2 * run + 1] = timeAt(time) + (apart(run, 0x1b873593) - 0.5) * spread;
    };
    const places = this.places();
    const shown = this.order.filter((run) => !this.hidden.has(places[this.conditions[run]]));
    shown.forEach(place);
    this.dots(pen, shown, scale, places);
  }

  // Draws the dots pixel by pixel, which is many times faster than shapes.
  dots(pen, shown, scale, places) {
    const image = pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    const back = pixelOf(pen, "--page");
    const every = Array.from({ length: COLOURS }, (_, number) => pixelOf(pen, `--s${number}`));
    const colours = places.map((place) => every[this.colour(place)]); // of each condition
    const size = Math.round(2 * scale);
    for (const run of shown) {
      const colour = colours[this.conditions[run]];
      const left = Math.round(this.spots[2 * run] * scale - size / 2);
      const top = Math.round(this.spots[2 * run + 1] * scale - size / 2);
      for (let pixel = 0; pixel < size * size; pixel++) {
        const at = 4 * ((top + Math.floor(pixel / size)) * image.width + left + (pixel % size));
        const isDrawn = image.data[at + 3] > 0;
        for (let part = 0; part < 3; part++) {
          const below = isDrawn ? image.data[at + part] : back[part];
          image.data[at + part] = below + OPACITY * (colour[part] - below);
        }
        image.data[at + 3] = 255;
      }
    }
    pen.putImageData(image, 0, 0);
  }

  nearest(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    let least = 12 ** 2;
    for (let run = 0; run < this.runs.total; run++) {
      const distance = (this.spots[2 * run] - x) ** 2 + (this.spots[2 * run + 1] - y) ** 2;
      if (distance < least) [best, least] = [run, distance];
    }
    return best;
  }

  tip(event, run) {
    const tip = byId("tip");
    tip.hidden = run === null;
    this.canvas.style.cursor = run === null ? "default" : "pointer";
    if (run === null) return;
    const time = this.times[run];
    const value = time === Infinity ? "never learned" : `learned after ${plain(time)} episodes`;
    replace(
      tip,
      element("strong", {}, describe(this.runs, run)),
      element("span", {}, `${value}; click to train it again`),
    );
    const half = tip.offsetWidth / 2;
    tip.style.left = `${Math.min(Math.max(event.clientX, half + 8), innerWidth - half - 8) - half + scrollX}px`;
    tip.style.top = `${event.clientY - tip.offsetHeight - 16 + scrollY}px`;
  }
}

const ALWAYS = [
  "critic_weight",
  "episode_length",
  "trial_length",
  "learning_rate",
  "baseline",
  "returns",
  "num_episodes",
  "seed",
];

// A run in words: the fields that matter most, and those that are not as usual.
export function describe(runs, run) {
  const values = runs.values(run);
  const usual = runs.defaults();
  const unusual = Object.keys(values).filter(
    (name) =>
      !ALWAYS.includes(name) &&
      String(values[name]) !== String(usual[name]) &&
      name !== "log_every",
  );
  const told = [...ALWAYS.slice(0, -1), ...unusual, "seed"];
  return told
    .map((name) =>
      name === "baseline" || name === "returns"
        ? `${values[name]}${name === "returns" ? " returns" : ""}`
        : `${labelOf(name)} ${valueOf(name, values[name])}`,
    )
    .join(", ");
}
