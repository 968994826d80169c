// The charts of Look, with their legend and caption, the numbers as a table, and the runs of a point
// that was picked.

import { axisOf } from "./axis.js";
import { icon, panel } from "./chart.js";
import { byId, button, element, fillTable, hideTip, replace, setText, showTip } from "./dom.js";
import { METRICS } from "./figures.js";
import { WEIGHT } from "./selection.js";
import { BUDGET, coloursOf, freeFields, grouped, pointOf, sortBy } from "./series.js";
import { capital, counted, labelOf, rounded, fieldText, valueOf } from "./words.js";

const GAP = 18; // between panels
const NARROWEST = 270; // panel in a row of several
const MOST_COLUMNS = 4;
const ALWAYS_TOLD = ["episode_length", "trial_length", "learning_rate", BUDGET];
const LAWS = {
  climb: "law of the climb, from the times of a light critic",
  noise: "the leak as noise, from the detached runs",
  critic_bias: "cTH/2w, nothing fitted",
  value_loss: "least possible loss, nothing fitted",
};

// Number of columns of panels, and the width and height of a panel.
function layout(available, count) {
  const fitting = Math.min(count, Math.floor(available / NARROWEST), MOST_COLUMNS);
  const columns = Math.max(1, fitting);
  const width = Math.max(260, Math.floor((available - GAP * (columns - 1)) / columns));
  const height =
    count === 1
      ? Math.min(400, Math.max(260, width * 0.56))
      : Math.min(260, Math.max(200, width * 0.74));
  return { columns, width, height };
}

function isShare(view) {
  return METRICS[view.y].kind === "share";
}

export class LookCharts {
  // `train(run)` is called when a run is to be trained again, `toggle(key)` when the series with
  // that key is to be hidden or shown again.
  constructor(runs, settings, laws, train, toggle) {
    Object.assign(this, { runs, settings, laws, train, toggle });
    this.width = byId("charts").clientWidth;
    this.picked = null; // cell
    new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width === this.width) return;
      this.width = width;
      requestAnimationFrame(() => this.draw());
    }).observe(byId("charts"));
  }

  show(view, selection, hidden) {
    Object.assign(this, { view, selection, hidden });
    this.draw();
  }

  draw() {
    const { view, settings } = this;
    const free = freeFields(view);
    const order = [view.panels, ...coloursOf(view), view.x].filter(Boolean);
    const cells = settings.matching(this.selection, free);
    sortBy(order, cells, settings);
    const { series, panels } = grouped(cells, view, this.hidden);
    this.series = series;
    const shown = [...panels].map(([title, members]) => ({
      title,
      series: [...members].map(([key, its]) => this.drawnSeries(series.get(key), its)),
    }));
    const points = shown.flatMap((one) => one.series.flatMap((each) => each.points));
    this.drawPanels(shown, points);
    this.drawLegend(points);
    this.drawCaption(points);
    this.drawTable(shown);
    this.drawDetail();
    const isBusy = this.laws.wanted.size > 0;
    byId("charts").setAttribute("aria-busy", String(isBusy));
    if (isBusy) this.laws.compute(() => this.draw());
  }

  // A series of these cells as chart.js draws it. A law's times beyond the budget are left out.
  drawnSeries({ name, colour }, cells) {
    const points = cells.map((cell) => pointOf(cell, this.view, this.runs, this.laws));
    const most = this.view.y === "time" ? this.selection[BUDGET] : Infinity;
    const law = points
      .filter(({ predicted }) => predicted && predicted.y <= most)
      .map(({ x, predicted }) => ({ x, y: predicted.y }));
    return { name, colour, points, law };
  }

  drawPanels(shown, points) {
    const { x, y, panels } = this.view;
    const metric = capital(METRICS[y].label);
    const { columns, width, height } = layout(this.width, shown.length);
    const { memoryless } = this.runs.levels[this.selection.stimulus_set];
    const common = {
      ...this.axes(points),
      xLabel: labelOf(x),
      width,
      height,
      levels: y === "reward" ? [memoryless] : [],
      onReach: (spot) => this.tell(spot),
      onPick: ({ cell }) => {
        this.pick(cell);
        this.drawDetail();
      },
    };
    const charts = shown.map(({ title, series }, number) => {
      const place = title ? `, ${labelOf(panels)} ${title}` : "";
      return panel({
        ...common,
        id: `panel-${number}`,
        title: title ? `${capital(labelOf(panels))}: ${title}` : METRICS[y].label,
        series,
        description: `${metric} against ${labelOf(x)}${place}. Arrow keys move from point to point; the table below has all numbers.`,
      });
    });
    byId("charts").style.setProperty("--columns", columns);
    replace(byId("charts"), ...charts);
  }

  axes(points) {
    const { x, y } = this.view;
    const { kind } = METRICS[y];
    const isCategory = points.some((point) => typeof point.x !== "number");
    const xAxis = axisOf(
      isCategory ? "category" : "log",
      points.map((point) => point.x),
      { text: (value) => (isCategory ? String(value) : valueOf(x, value)) },
    );
    if (isShare(this.view))
      return { x: xAxis, y: axisOf("linear", [], { low: -0.03, high: 1.06 }) };
    const values = points.flatMap(({ y, low, high, predicted }) => [y, low, high, predicted?.y]);
    if (y === "reward") return { x: xAxis, y: axisOf(kind, values, { low: 0.4, high: 1.03 }) };
    if (y !== "time") return { x: xAxis, y: axisOf(kind, values) };
    const budget = this.selection[BUDGET];
    const within = values.filter((value) => value <= budget);
    return { x: xAxis, y: axisOf(kind, within, { high: budget, never: true }) };
  }

  drawLegend(points) {
    const items = [...this.series]
      .filter(([, { name }]) => name)
      .map(([key, { name, colour }], index) => {
        const attributes = {
          id: `series-${index}`,
          class: "series",
          "aria-pressed": String(!this.hidden.has(key)),
        };
        const toggle = button(name, () => this.toggle(key), attributes);
        toggle.prepend(icon(colour));
        return element("li", {}, toggle);
      });
    const laws = new Set(points.map(({ predicted }) => predicted?.law).filter(Boolean));
    const keys = [...laws].map((law) => element("li", { class: "law-key" }, LAWS[law]));
    replace(byId("legend"), ...items, ...keys);
  }

  // What the charts do not show: the fields that have one value, if it is not the default, and the
  // meaning of the bars.
  drawCaption(points) {
    const free = freeFields(this.view);
    const isTold = (name) =>
      ALWAYS_TOLD.includes(name) ||
      String(this.selection[name]) !== String(this.runs.field[name].default);
    const fields = this.settings.names
      .filter((name) => !free.includes(name) && isTold(name))
      .map((name) => fieldText(name, this.selection[name]));
    if (!free.includes(WEIGHT)) fields.push(`weight ${rounded(this.selection[WEIGHT])}`);
    const trained = points.reduce((sum, { seeds }) => sum + seeds, 0);
    const bars = isShare(this.view) ? "95% Wilson intervals" : "quartiles";
    const caption = `${capital(fields.join(", "))}. ${counted(trained, "run")}; bars are ${bars}.`;
    setText(byId("shown"), caption);
  }

  // Describes the point that is pointed at or reached by a key; null hides the description.
  tell(spot) {
    if (!spot) return hideTip();
    const { point, series, svg, x, y, byKey } = spot;
    const colours = coloursOf(this.view).map(labelOf).join(" and ");
    const title =
      fieldText(this.view.x, point.x) + (series.name ? `; ${colours} ${series.name}` : "");
    const text = this.summary(point);
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    showTip(box.left + x * scale, box.top + y * scale, title, text);
    return byKey && setText(byId("reached"), `${title}: ${text}`);
  }

  number(value) {
    return isShare(this.view) ? value.toFixed(2) : rounded(value);
  }

  summary({ y, low, high, count, seeds, predicted }) {
    const interval = `${this.number(low)} to ${this.number(high)}`;
    const law = predicted ? `; law ${this.number(predicted.y)}` : "";
    return isShare(this.view)
      ? `${count} of ${counted(seeds, "seed")}: ${this.number(y)}, 95% interval ${interval}${law}`
      : `median ${this.number(y)}, quartiles ${interval}, ${counted(seeds, "seed")}${law}`;
  }

  pick(cell) {
    this.picked = cell;
  }

  // The seeds of the cell that was picked, each a button that trains it again.
  drawDetail() {
    const box = byId("detail");
    if (!this.picked) return replace(box);
    const { values, runs, setting } = this.picked;
    const names = [...new Set([...freeFields(this.view), WEIGHT])];
    const seeds = runs.map((run, seed) => {
      const learned = this.runs.outcome(run, "learned");
      const title = `seed ${seed}, ${learned ? "learned" : "did not learn"}: train it again`;
      const attributes = { class: learned ? "seed learned" : "seed", title, "aria-label": title };
      return button(String(seed), () => this.train(run), attributes);
    });
    const commands = [...setting.experiments].map((name) => `python -m pwm.sweep ${name}`);
    return replace(
      box,
      element("h3", {}, capital(names.map((name) => fieldText(name, values[name])).join(", "))),
      element("p", {}, "Each number is a seed; filled ones learned. Choose one to train it again."),
      element("p", { class: "seeds" }, ...seeds),
      element("p", { class: "quiet" }, "Trained by ", element("code", {}, commands.join("; "))),
    );
  }

  drawTable(shown) {
    const { x, y, panels } = this.view;
    const colours = coloursOf(this.view);
    const shareName = y === "learned" ? "learned" : "collapsed";
    const entries = (title, series, point) => [
      ...(panels ? [[labelOf(panels), title]] : []),
      ...(colours.length ? [[colours.map(labelOf).join(" · "), series.name]] : []),
      [labelOf(x), valueOf(x, point.x)],
      ["seeds", point.seeds],
      ...(isShare(this.view) ? [[shareName, point.count]] : []),
      [isShare(this.view) ? "fraction" : "median", this.number(point.y)],
      ["low", this.number(point.low)],
      ["high", this.number(point.high)],
      ["law", point.predicted ? this.number(point.predicted.y) : ""],
    ];
    const rows = shown.flatMap(({ title, series }) =>
      series.flatMap((one) => one.points.map((point) => entries(title, one, point))),
    );
    const titles = (rows[0] ?? []).map(([name]) => capital(name));
    fillTable(
      byId("numbers"),
      titles,
      rows.map((row) => row.map(([, text]) => text)),
    );
  }
}
