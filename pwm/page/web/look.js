// Look: the choice of what is shown, by controls or by a link, which the address bar keeps.

import { byId, choice, element, replace, setText } from "./dom.js";
import { FIGURES, METRICS } from "./figures.js";
import { LookCharts } from "./look_charts.js";
import { WEIGHT } from "./selection.js";
import { BUDGET, coloursOf, freeFields } from "./series.js";
import { capital, labelOf, fieldText, valueOf } from "./words.js";

// Fields with a control in sight; the others are under "More fields".
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
const COLOURED = ["baseline", "baseline,returns"]; // always offered
const START = { x: WEIGHT, y: "learned", colour: "baseline", panels: "" };

export class Look {
  // `train(run)` is called when a run is to be trained again.
  constructor(runs, settings, laws, train) {
    Object.assign(this, { runs, settings });
    this.charts = new LookCharts(runs, settings, laws, train, (key) => this.toggle(key));
    this.read(location.hash);
    const links = FIGURES.map(([name, link]) =>
      element("li", {}, element("a", { href: `#${link}` }, name)),
    );
    replace(byId("figures"), ...links);
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) === this.link()) return;
      this.read(location.hash);
      this.draw();
    });
    this.draw();
  }

  // Reads a view and a selection from a link; without them it is the paper's first figure.
  read(hash) {
    const given = new URLSearchParams(hash.includes("=") ? hash.slice(1) : FIGURES[0][1]);
    const known = [WEIGHT, ...this.settings.names];
    const names = (list) => list.split(",").filter((name) => known.includes(name));
    this.view = { ...START };
    if (known.includes(given.get("x"))) this.view.x = given.get("x");
    if (METRICS[given.get("y")]) this.view.y = given.get("y");
    if (given.has("colour")) this.view.colour = names(given.get("colour")).join(",");
    if (given.has("panels")) this.view.panels = names(given.get("panels"))[0] ?? "";
    this.hidden = new Set(given.get("hide")?.split(",") ?? []);
    const values = {};
    for (const name of known) {
      const found = this.settings.valuesOf(name).find((value) => String(value) === given.get(name));
      if (found !== undefined) values[name] = found;
    }
    this.selection = this.settings.nearest(values);
    this.charts.pick(null);
  }

  link() {
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries(this.view))
      if (value !== START[name]) parts.set(name, value);
    if (this.hidden.size) parts.set("hide", [...this.hidden].join(","));
    const free = freeFields(this.view);
    for (const name of [...this.settings.names, WEIGHT]) {
      if (free.includes(name)) continue;
      const usual = this.runs.field[name]?.default;
      if (String(this.selection[name]) !== String(usual)) parts.set(name, this.selection[name]);
    }
    parts.set(BUDGET, this.selection[BUDGET]); // always, as an empty link is the first figure's
    return parts.toString().replaceAll("%2C", ",");
  }

  draw() {
    this.drawAxes();
    this.drawFields();
    this.charts.show(this.view, this.selection, this.hidden);
    const hash = `#${this.link()}`;
    if (location.hash !== hash) history.replaceState(null, "", hash);
  }

  // Controls of the view.
  drawAxes() {
    const free = freeFields(this.view);
    const varyingWithout = (...names) =>
      this.settings.varying(
        this.selection,
        free.filter((name) => !names.includes(name)),
      );
    const select = (key, label, names, textOf) => {
      const current = this.view[key];
      const offered = [...new Set([...names, current])];
      return choice(
        `view-${key}`,
        label,
        offered.map((name) => ({ text: textOf(name) })),
        offered.indexOf(current),
        (index) => this.change({ [key]: offered[index] }),
      );
    };
    const { x, colour, panels } = this.view;
    const fieldNames = (list) => (list ? list.split(",").map(labelOf).join(" and ") : "none");
    const coloured = ["", ...COLOURED, ...varyingWithout(...coloursOf(this.view))];
    replace(
      byId("axes"),
      select("y", "Show", Object.keys(METRICS), (name) => METRICS[name].label),
      select("x", "against", varyingWithout(x), fieldNames),
      select("colour", "coloured by", coloured, fieldNames),
      select("panels", "a panel for each", ["", ...varyingWithout(panels)], fieldNames),
    );
  }

  // Controls of the fields that the view does not leave free.
  drawFields() {
    const free = freeFields(this.view);
    const reachable = this.settings.reachable(this.selection, free);
    const control = (name) => {
      const values = this.settings.valuesOf(name);
      if (free.includes(name) || values.length < 2) return [];
      const options = values.map((value) => ({
        text: valueOf(name, value),
        group: reachable.get(name).has(value) ? "" : "changes other choices too",
      }));
      const current = values.findIndex((value) => String(value) === String(this.selection[name]));
      const onChoice = (index) => this.choose(name, values[index]);
      return [choice(`field-${name}`, capital(labelOf(name)), options, current, onChoice)];
    };
    const others = this.settings.names.filter((name) => !OFFERED.includes(name));
    replace(byId("fields"), ...OFFERED.flatMap(control));
    replace(byId("more-fields"), ...[...others, WEIGHT].flatMap(control));
  }

  // Changes the view, in which no field may appear twice.
  change(part) {
    if ("colour" in part) this.hidden.clear();
    this.view = { ...this.view, ...part };
    const { x, panels } = this.view;
    const colours = coloursOf(this.view);
    if (panels === x || colours.includes(panels)) this.view.panels = "";
    this.view.colour = colours.filter((name) => name !== x).join(",");
    setText(byId("changed"), "");
    this.draw();
  }

  // Selects a value of a field, and says which others had to change.
  choose(name, value) {
    const before = this.selection;
    const free = freeFields(this.view);
    const { selection, changed } = this.settings.choose(before, free, name, value);
    this.selection = selection;
    this.charts.pick(null);
    this.draw();
    const others = changed
      .filter((each) => String(before[each]) !== String(selection[each]))
      .map((each) => fieldText(each, selection[each]));
    setText(byId("changed"), others.length ? `That was run with: ${others.join(", ")}.` : "");
  }

  // Hides a series or shows it again; the last one cannot be hidden.
  toggle(key) {
    if (!this.hidden.delete(key) && this.hidden.size < this.charts.series.size - 1)
      this.hidden.add(key);
    this.draw();
  }
}
