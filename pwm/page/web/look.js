// Look: charts of any condition, with controls that offer what was run, and a link to each.

import { axisOf, marker, panel } from "./chart.js";
import { byId, choice, element, replace, say, shape } from "./dom.js";
import { FIGURES, FIXED_COLOURS, METRICS } from "./figures.js";
import { quartiles, wilson } from "./law.js";
import { WEIGHT } from "./selection.js";
import { capital, counted, labelOf, plain, valueOf } from "./words.js";

const OFFERED = [
  "episode_length",
  "trial_length",
  "learning_rate",
  "baseline",
  "returns",
  "balance",
  "policy_reduction",
  "carry_state",
];
const BUDGET = "num_episodes";
const COLOURED = ["baseline", "baseline,returns"]; // always offered

export class Look {
  // `checked(run)` is called when a run is to be trained again.
  constructor(runs, settings, laws, checked) {
    Object.assign(this, { runs, settings, laws, checked });
    this.start = { x: WEIGHT, y: "learned", colour: "baseline", panels: "" };
    this.read(location.hash);
    this.figures();
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) !== this.link()) {
        this.read(location.hash);
        this.draw();
      }
    });
    new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width !== this.width) {
        this.width = width;
        requestAnimationFrame(() => this.chart());
      }
    }).observe(byId("charts"));
    this.width = byId("charts").clientWidth;
    this.draw();
  }

  get free() {
    return [this.view.x, ...this.colours, ...(this.view.panels ? [this.view.panels] : [])];
  }

  get colours() {
    return this.view.colour ? this.view.colour.split(",") : [];
  }

  // Reads a view and a selection from a link; without them it is the paper's first figure.
  read(hash) {
    const text = hash.includes("=") ? hash.replace(/^#/, "") : FIGURES[0][1];
    const given = new URLSearchParams(text);
    const known = [WEIGHT, ...this.settings.names];
    const names = (list) =>
      list
        .split(",")
        .filter((name) => known.includes(name))
        .join(",");
    this.view = { ...this.start };
    if (known.includes(given.get("x"))) this.view.x = given.get("x");
    if (METRICS[given.get("y")]) this.view.y = given.get("y");
    if (given.has("colour")) this.view.colour = names(given.get("colour"));
    if (given.has("panels")) this.view.panels = names(given.get("panels")).split(",")[0];
    this.hidden = new Set(given.get("hide")?.split(",") ?? []);
    const values = {};
    for (const name of known) {
      const found = this.settings.valuesOf(name).find((value) => String(value) === given.get(name));
      if (found !== undefined) values[name] = found;
    }
    this.selection = this.settings.nearest(values);
    this.picked = null;
  }

  link() {
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries(this.view))
      if (value !== this.start[name]) parts.set(name, value);
    if (this.hidden.size) parts.set("hide", [...this.hidden].join(","));
    for (const name of [...this.settings.names, WEIGHT]) {
      if (this.free.includes(name)) continue;
      const usual = this.runs.field[name]?.default;
      if (String(this.selection[name]) !== String(usual)) parts.set(name, this.selection[name]);
    }
    if (!parts.has(BUDGET)) parts.set(BUDGET, this.selection[BUDGET]);
    return parts.toString().replaceAll("%2C", ",");
  }

  figures() {
    const links = FIGURES.map(([name, link]) =>
      element("li", {}, element("a", { href: `#${link}` }, name)),
    );
    replace(byId("figures"), ...links);
  }

  draw() {
    this.axes();
    this.fields();
    this.chart();
    const hash = `#${this.link()}`;
    if (location.hash !== hash) history.replaceState(null, "", hash);
  }

  // Changes how the runs are shown.
  show(change) {
    if ("colour" in change) this.hidden.clear();
    this.view = { ...this.view, ...change };
    const clash = (name) => name && (name === this.view.x || this.colours.includes(name));
    if (clash(this.view.panels)) this.view.panels = "";
    this.view.colour = this.colours.filter((name) => name !== this.view.x).join(",");
    say(byId("changed"), "");
    this.draw();
  }

  axes() {
    const varying = (without) =>
      this.settings.varying(
        this.selection,
        this.free.filter((name) => !without.includes(name)),
      );
    const options = (list, current) =>
      [...new Set([...list, current])].map((name) => ({
        name,
        text: name ? name.split(",").map(labelOf).join(" and ") : "none",
      }));
    const select = (id, label, list, key) => {
      const found = options(list, this.view[key]);
      return choice(
        id,
        label,
        found,
        found.findIndex(({ name }) => name === this.view[key]),
        (place) => this.show({ [key]: found[place].name }),
      );
    };
    const metrics = Object.entries(METRICS).map(([name, { label }]) => ({ name, text: label }));
    const y = choice(
      "view-y",
      "Show",
      metrics,
      metrics.findIndex(({ name }) => name === this.view.y),
      (place) => this.show({ y: metrics[place].name }),
    );
    replace(
      byId("axes"),
      y,
      select("view-x", "against", varying([this.view.x]), "x"),
      select("view-colour", "coloured by", ["", ...COLOURED, ...varying(this.colours)], "colour"),
      select("view-panels", "a panel for each", ["", ...varying([this.view.panels])], "panels"),
    );
  }

  fields() {
    const reachable = this.settings.reachable(this.selection, this.free);
    const control = (name) => {
      const options = this.settings.valuesOf(name);
      if (this.free.includes(name) || options.length < 2) return [];
      const place = options.findIndex((value) => String(value) === String(this.selection[name]));
      const described = options.map((value) => ({
        text: valueOf(name, value),
        group: reachable.get(name).has(value) ? "" : "changes other choices too",
      }));
      return [
        choice(`field-${name}`, capital(labelOf(name)), described, place, (chosen) =>
          this.choose(name, options[chosen]),
        ),
      ];
    };
    const others = [...this.settings.names.filter((name) => !OFFERED.includes(name)), WEIGHT];
    replace(byId("fields"), ...OFFERED.flatMap(control));
    replace(byId("more-fields"), ...others.flatMap(control));
  }

  choose(name, value) {
    const before = this.selection;
    const { selection, changed } = this.settings.choose(before, this.free, name, value);
    this.selection = selection;
    const also = changed.filter((each) => String(before[each]) !== String(selection[each]));
    const told = also
      .map((each) => `${labelOf(each)} ${valueOf(each, selection[each])}`)
      .join(", ");
    this.picked = null;
    this.draw();
    say(byId("changed"), told ? `That was run with: ${told}.` : "");
  }

  // The series of each panel: cells that match, by the value of the panel's field and the colours.
  panels() {
    const cells = this.settings.matching(this.selection, this.free);
    const order = (name, value) =>
      this.settings.valuesOf(name).findIndex((each) => String(each) === String(value));
    const by = (one, other) =>
      [this.view.panels, ...this.colours, this.view.x]
        .filter(Boolean)
        .map((name) => order(name, one.values[name]) - order(name, other.values[name]))
        .find((difference) => difference) ?? 0;
    const panels = new Map();
    this.series = new Map();
    for (const cell of cells.sort(by)) {
      const panel = this.view.panels
        ? valueOf(this.view.panels, cell.values[this.view.panels])
        : "";
      const name = this.colours.map((each) => valueOf(each, cell.values[each])).join(" · ");
      const key = this.colours.map((each) => cell.values[each]).join(" ");
      this.series.set(key, { name });
      if (this.hidden.has(key)) continue;
      if (!panels.has(panel)) panels.set(panel, new Map());
      if (!panels.get(panel).has(key)) panels.get(panel).set(key, []);
      panels.get(panel).get(key).push(cell);
    }
    const taken = new Set();
    for (const series of this.series.values()) {
      series.colour = FIXED_COLOURS[series.name];
      taken.add(series.colour);
    }
    let next = 0;
    for (const series of this.series.values()) {
      while (series.colour === undefined && taken.has(next)) next++;
      series.colour ??= next++;
    }
    return panels;
  }

  point(cell) {
    const { y, x } = this.view;
    const outcomes = cell.runs.map((run) => this.runs.outcome(run, y));
    const point = { x: cell.values[x], cell, seeds: outcomes.length };
    if (METRICS[y].kind === "share") {
      point.count = outcomes.reduce((sum, value) => sum + value, 0);
      [point.y, point.low, point.high] = wilson(point.count, outcomes.length);
    } else {
      [point.low, point.y, point.high] = quartiles(outcomes);
    }
    point.predicted = this.predicted(cell.values, cell.values[WEIGHT], cell);
    return point;
  }

  // What the laws say about a cell: {law, y}, or null.
  predicted(values, weight, cell) {
    const { y } = this.view;
    if (y === "learned" || y === "time") {
      const found = this.laws.predicted(values, weight);
      if (!found) return null;
      const within = found.times.filter((time) => time <= values.num_episodes).length;
      const median = quartiles(found.times)[1];
      return { law: found.law, y: y === "learned" ? within / found.times.length : median };
    }
    const middle = (name) => quartiles(cell.runs.map((run) => this.runs.outcome(run, name)))[1];
    const found =
      y === "critic_bias"
        ? this.laws.bias(values, weight, middle("entropy"))
        : y === "value_loss"
          ? this.laws.floor(values, middle("reward"))
          : null;
    return found === null ? null : { law: y, y: found };
  }

  chart() {
    const { x, y } = this.view;
    const metric = METRICS[y];
    const budget = this.selection[BUDGET];
    const laws = new Set();
    const shown = [...this.panels()].map(([title, bySeries]) => ({
      title,
      series: [...bySeries].map(([key, cells]) => {
        const points = cells.map((cell) => this.point(cell));
        points.forEach((point) => point.predicted && laws.add(point.predicted.law));
        return {
          ...this.series.get(key),
          points,
          law: points
            .filter((point) => point.predicted)
            .map((point) => ({ x: point.x, y: point.predicted.y })),
        };
      }),
    }));
    const points = shown.flatMap(({ series }) => series.flatMap((each) => each.points));
    const category = points.some((point) => typeof point.x !== "number");
    const xAxis = axisOf(
      category ? "category" : "log",
      points.map((point) => point.x),
      { text: (value) => (category ? String(value) : valueOf(x, value)) },
    );
    const values = points.flatMap((point) => [
      point.y,
      point.low,
      point.high,
      point.predicted?.y ?? NaN,
    ]);
    const yAxis =
      metric.kind === "share"
        ? axisOf("linear", [0, 1], { low: -0.03, high: 1.06 })
        : y === "time"
          ? axisOf(
              "log",
              values.filter((value) => value <= budget || value === Infinity),
              { high: budget, never: true },
            )
          : axisOf(metric.kind, values, y === "reward" ? { low: 0.4, high: 1.03 } : {});
    for (const { series } of shown) {
      for (const each of series) {
        if (y === "time") each.law = each.law.filter((point) => point.y <= budget);
      }
    }
    const wide = this.width;
    const columns =
      shown.length === 1 ? 1 : Math.max(1, Math.min(shown.length, Math.floor(wide / 270), 4));
    const width = Math.max(260, Math.floor((wide - 18 * (columns - 1)) / columns));
    const height =
      shown.length === 1
        ? Math.min(400, Math.max(260, width * 0.56))
        : Math.min(260, Math.max(200, width * 0.74));
    const lines = y === "reward" ? [this.runs.levels[this.selection.stimulus_set].memoryless] : [];
    const charts = shown.map(({ title, series }, number) =>
      panel({
        id: `panel-${number}`,
        title: title ? `${capital(labelOf(this.view.panels))}: ${title}` : "",
        series,
        x: xAxis,
        y: yAxis,
        xLabel: labelOf(x),
        yLabel: metric.label,
        width,
        height,
        lines,
        description: `${capital(metric.label)} against ${labelOf(x)}${title ? `, ${labelOf(this.view.panels)} ${title}` : ""}. Arrow keys move from point to point; the table below has all numbers.`,
        show: (spot) => this.tip(spot),
        picked: (point) => this.pick(point),
      }),
    );
    const grid = byId("charts");
    grid.style.setProperty("--columns", columns);
    replace(grid, ...charts);
    this.legend(laws);
    this.describe(points);
    this.table(shown);
    this.detail();
    const busy = this.laws.wanted.size > 0;
    grid.setAttribute("aria-busy", String(busy));
    if (busy) this.laws.compute(() => this.chart());
  }

  legend(laws) {
    const toggle = (key) => {
      if (!this.hidden.delete(key) && this.hidden.size < this.series.size - 1) this.hidden.add(key);
      this.draw();
    };
    const items = [...this.series]
      .filter(([, { name }]) => name)
      .map(([key, { name, colour }], place) => {
        const icon = shape(
          "svg",
          { viewBox: "-6 -6 12 12", width: 12, height: 12, "aria-hidden": "true" },
          marker(colour),
        );
        const press = {
          type: "button",
          id: `series-${place}`,
          class: "series",
          "aria-pressed": String(!this.hidden.has(key)),
        };
        return element(
          "li",
          {},
          element("button", { ...press, onclick: () => toggle(key) }, icon, name),
        );
      });
    const words = {
      climb: "law of the climb, from the times of a light critic",
      noise: "the leak as noise, from the detached runs",
      critic_bias: "cTH/2w, nothing fitted",
      value_loss: "least possible loss, nothing fitted",
    };
    laws.forEach((law) => items.push(element("li", { class: "law-key" }, words[law])));
    replace(byId("legend"), ...items);
  }

  describe(points) {
    const fixed = this.settings.names.filter((name) => !this.free.includes(name));
    const told = fixed
      .filter(
        (name) =>
          OFFERED.slice(0, 3).includes(name) ||
          name === BUDGET ||
          String(this.selection[name]) !== String(this.runs.field[name].default),
      )
      .map((name) => `${labelOf(name)} ${valueOf(name, this.selection[name])}`);
    if (!this.free.includes(WEIGHT)) told.push(`weight ${plain(this.selection[WEIGHT])}`);
    const trained = points.reduce((sum, point) => sum + point.seeds, 0);
    const interval =
      METRICS[this.view.y].kind === "share"
        ? "bars are 95% Wilson intervals"
        : "bars are quartiles";
    say(byId("shown"), `${capital(told.join(", "))}. ${counted(trained, "run")}; ${interval}.`);
  }

  words(point, series) {
    const { y, x } = this.view;
    const head = `${labelOf(x)} ${valueOf(x, point.x)}${series.name ? `; ${this.colours.map(labelOf).join(" and ")} ${series.name}` : ""}`;
    const value =
      point.count === undefined
        ? `median ${plain(point.y)}, quartiles ${plain(point.low)} to ${plain(point.high)}, ${counted(point.seeds, "seed")}`
        : `${point.count} of ${counted(point.seeds, "seed")}: ${point.y.toFixed(2)}, 95% interval ${point.low.toFixed(2)} to ${point.high.toFixed(2)}`;
    const law = point.predicted
      ? `; law ${METRICS[y].kind === "share" ? point.predicted.y.toFixed(2) : plain(point.predicted.y)}`
      : "";
    return { head, value: value + law };
  }

  tip(spot) {
    const tip = byId("tip");
    tip.hidden = !spot;
    if (!spot) return;
    const { head, value } = this.words(spot.point, spot.series);
    replace(tip, element("strong", {}, head), element("span", {}, value));
    const box = spot.svg.getBoundingClientRect();
    const scale = box.width / spot.svg.viewBox.baseVal.width;
    const half = tip.offsetWidth / 2;
    const middle = box.left + spot.place * scale;
    tip.style.left = `${Math.min(Math.max(middle, half + 8), innerWidth - half - 8) - half + scrollX}px`;
    tip.style.top = `${box.top + spot.level * scale - tip.offsetHeight - 14 + scrollY}px`;
    if (spot.byKey) say(byId("reached"), `${head}: ${value}`);
  }

  pick(point) {
    this.picked = point.cell;
    this.detail();
  }

  // The seeds of the cell that was picked, each a button that trains it again.
  detail() {
    const place = byId("detail");
    if (!this.picked) return replace(place);
    const { values, runs, setting } = this.picked;
    const shown = [...this.free, WEIGHT].map(
      (name) => `${labelOf(name)} ${valueOf(name, values[name])}`,
    );
    const seeds = runs.map((run, seed) => {
      const learned = this.runs.outcome(run, "learned");
      const label = `seed ${seed}, ${learned ? "learned" : "did not learn"}: train it again`;
      const press = {
        type: "button",
        class: learned ? "seed learned" : "seed",
        title: label,
        "aria-label": label,
      };
      return element("button", { ...press, onclick: () => this.checked(run) }, String(seed));
    });
    const names = [...setting.experiments].map((name) => `python -m pwm.sweep ${name}`);
    return replace(
      place,
      element("h3", {}, capital([...new Set(shown)].join(", "))),
      element(
        "p",
        {},
        "Each number is a seed; filled ones learned. Choose one to train it again, here.",
      ),
      element("p", { class: "seeds" }, ...seeds),
      element("p", { class: "quiet" }, "Trained by ", element("code", {}, names.join("; "))),
    );
  }

  table(shown) {
    const { y, x } = this.view;
    const share = METRICS[y].kind === "share";
    const head = [
      this.view.panels && labelOf(this.view.panels),
      this.view.colour && this.colours.map(labelOf).join(" · "),
      labelOf(x),
      "seeds",
      ...(share ? [y === "learned" ? "learned" : "collapsed", "fraction"] : ["median"]),
      "low",
      "high",
      "law",
    ];
    const columns = head.map((name, place) => [name, place]).filter(([name]) => name);
    const rows = shown.flatMap(({ title, series }) =>
      series.flatMap((each) =>
        each.points.map((point) => {
          const number = (value) => (share ? value.toFixed(2) : plain(value));
          const own = share ? [point.count, number(point.y)] : [number(point.y)];
          const law = point.predicted ? number(point.predicted.y) : "";
          const cells = [
            title,
            each.name,
            valueOf(x, point.x),
            point.seeds,
            ...own,
            number(point.low),
            number(point.high),
            law,
          ];
          return element(
            "tr",
            {},
            ...columns.map(([, place]) => element("td", {}, String(cells[place]))),
          );
        }),
      ),
    );
    const titles = columns.map(([name]) => element("th", { scope: "col" }, capital(name)));
    replace(
      byId("numbers"),
      element("thead", {}, element("tr", {}, ...titles)),
      element("tbody", {}, ...rows),
    );
  }
}
