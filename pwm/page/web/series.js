// The series that the charts of published runs show.
//
// A view names what is shown: the outcome `y`, and the fields that `x`, `colour` (several, separated
// by commas) and `panels` stand for; the last two may be empty. Each cell, the runs of one setting at
// one critic weight, is a point; cells with the same values of the fields that colour them are a
// series.

import { FIXED_COLOURS, METRICS } from "./figures.js";
import { median, quartiles, wilson } from "./statistics.js";
import { valueOf } from "./words.js";

export const BUDGET = "num_episodes"; // the field that limits times to learn

export function coloursOf(view) {
  return view.colour ? view.colour.split(",") : [];
}

// Fields that a view leaves free, as several of their values are shown.
export function freeFields(view) {
  return [view.x, ...coloursOf(view), view.panels].filter(Boolean);
}

// Sorts cells in place by their values in the named fields; earlier names count more.
export function sortBy(names, cells, settings) {
  // Sorting is stable, so the field that counts most is sorted by last.
  for (const name of [...names].reverse()) {
    const order = settings.valuesOf(name).map(String);
    const rank = (cell) => order.indexOf(String(cell.values[name]));
    cells.sort((one, other) => rank(one) - rank(other));
  }
}

// Groups sorted cells into `series`, a map from a key to {name, colour}, and `panels`, a map from a
// title to a map from keys to the cells of that series. The hidden series are in no panel.
export function grouped(cells, view, hidden) {
  const names = coloursOf(view);
  const series = new Map();
  const panels = new Map();
  for (const cell of cells) {
    const { values } = cell;
    const key = names.map((name) => values[name]).join(" ");
    series.set(key, { name: names.map((name) => valueOf(name, values[name])).join(" · ") });
    if (hidden.has(key)) continue;
    const title = view.panels ? valueOf(view.panels, values[view.panels]) : "";
    if (!panels.has(title)) panels.set(title, new Map());
    const members = panels.get(title);
    if (!members.has(key)) members.set(key, []);
    members.get(key).push(cell);
  }
  assignColours([...series.values()]);
  return { series, panels };
}

// Gives each series the fixed colour of its name; without one, the next colour that is not taken.
function assignColours(series) {
  for (const one of series) one.colour = FIXED_COLOURS[one.name];
  const taken = new Set(series.map(({ colour }) => colour));
  let next = 0;
  for (const one of series.filter(({ colour }) => colour === undefined)) {
    while (taken.has(next)) next++;
    one.colour = next++;
  }
}

// Returns a cell's point: x, the cell, y with an interval from low to high, the number of seeds, and
// what a law predicts. For fractions of seeds, `count` is the number of seeds with the outcome.
export function pointOf(cell, view, runs, laws) {
  const outcomes = cell.runs.map((run) => runs.outcome(run, view.y));
  const seeds = outcomes.length;
  const predicted = prediction(cell, view.y, runs, laws);
  const point = { x: cell.values[view.x], cell, seeds, predicted };
  if (METRICS[view.y].kind === "share") {
    point.count = outcomes.reduce((sum, outcome) => sum + outcome, 0);
    [point.y, point.low, point.high] = wilson(point.count, seeds);
  } else {
    [point.low, point.y, point.high] = quartiles(outcomes);
  }
  return point;
}

// Prediction {law, y} of a cell's outcome; null if no law applies.
function prediction({ values, runs: members }, outcome, runs, laws) {
  const middle = (name) => median(members.map((run) => runs.outcome(run, name)));
  let y = null;
  if (outcome === "critic_bias") y = laws.bias(values, middle("entropy"));
  if (outcome === "value_loss") y = laws.valueLoss(values, middle("reward"));
  if (outcome !== "learned" && outcome !== "time") return y === null ? null : { law: outcome, y };
  const found = laws.timesToLearn(values);
  if (!found) return null;
  const { law, times } = found;
  const within = times.filter((time) => time <= values[BUDGET]);
  return { law, y: outcome === "learned" ? within.length / times.length : median(times) };
}
