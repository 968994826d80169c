// Selections of runs: a value of each field, of which some are free, and the runs that match it.
//
// A setting is a condition without how its runs were recorded (windows and probes), which does not
// change the training: a run that was recorded in several ways counts once. A cell is the runs of a
// setting at one critic weight, in order of seed.

import { same } from "./runs.js";

const RECORDED = ["log_every", "probe_episodes", "probe_at"];
export const WEIGHT = "critic_weight";
// Cost of changing a field that the reader did not choose; 1 for fields not listed.
const COSTS = { baseline: 4, returns: 4, episode_length: 3, learning_rate: 2, num_episodes: 0.5 };

// The first of the items whose `rank`, a function of the item, is least.
function least(items, rank) {
  return items.reduce((one, other) => (rank(other) < rank(one) ? other : one));
}

export class Settings {
  constructor(runs) {
    this.runs = runs;
    this.names = runs.fields
      .filter((field) => field.values.length > 1 && !RECORDED.includes(field.name))
      .map((field) => field.name);
    const known = new Map(); // settings by their values
    // Of several records the one with the usual windows and the fewest probes is shown.
    const rank = ({ values }) => [100, 10, 1000].indexOf(values.log_every) + values.probe_at.length;
    for (const condition of [...runs.conditions].sort((a, b) => rank(a) - rank(b))) {
      const key = JSON.stringify(this.names.map((name) => condition.values[name]));
      if (!known.has(key)) {
        known.set(key, { values: condition.values, cells: new Map(), experiments: new Set() });
      }
      const setting = known.get(key);
      condition.experiments.forEach((name) => setting.experiments.add(name));
      for (const { weight, first, seeds } of condition.cells) {
        const cell = setting.cells.get(weight) ?? [];
        for (let seed = 0; seed < seeds; seed++) cell[seed] ??= first + seed;
        setting.cells.set(weight, cell);
      }
    }
    this.all = [...known.values()];
    const weights = new Set(this.all.flatMap(({ cells }) => [...cells.keys()]));
    this.weights = [...weights].sort((a, b) => a - b);
  }

  // The setting with these values, or undefined.
  find(values) {
    return this.all.find((setting) =>
      this.names.every((name) => same(setting.values[name], values[name])),
    );
  }

  valuesOf(name) {
    return name === WEIGHT ? this.weights : this.runs.field[name].values;
  }

  // For each setting, the names of the fields, except free ones, in which it differs from a selection.
  differing(selection, free) {
    const fixed = this.names.filter((name) => !free.includes(name));
    return this.all.map((setting) => {
      const names = fixed.filter((name) => !same(setting.values[name], selection[name]));
      if (!free.includes(WEIGHT) && !setting.cells.has(selection[WEIGHT])) names.push(WEIGHT);
      return names;
    });
  }

  // By field, the values that can be chosen without changing another field that is not free.
  reachable(selection, free) {
    const found = new Map([WEIGHT, ...this.names].map((name) => [name, new Set()]));
    this.differing(selection, free).forEach((names, index) => {
      if (names.length > 1) return;
      const { values, cells } = this.all[index];
      for (const name of names.length ? names : found.keys())
        for (const value of name === WEIGHT ? cells.keys() : [values[name]])
          found.get(name).add(value);
    });
    return found;
  }

  // Gives a field a new value; returns the new selection, and the names of the other fields that had
  // to change. Of the settings with the value, it takes the one whose changes cost least; among equal
  // ones that with the fewest changes of free fields, then that with the most weights.
  choose(selection, free, name, value) {
    const candidates = this.differing(selection, free).map((names, index) => {
      const setting = this.all[index];
      const isOffered =
        name === WEIGHT ? setting.cells.has(value) : same(setting.values[name], value);
      const changed = names.filter((each) => each !== name);
      const cost = changed.reduce((sum, each) => sum + (COSTS[each] ?? 1), 0);
      const freeChanges = free.filter((each) => !same(setting.values[each], selection[each]));
      const rank = cost + 0.01 * freeChanges.length - 1e-5 * setting.cells.size;
      return { setting, changed, rank: isOffered ? rank : Infinity };
    });
    const { setting, changed } = least(candidates, ({ rank }) => rank);
    const next = { ...selection };
    for (const each of this.names) next[each] = setting.values[each];
    if (name === WEIGHT) next[WEIGHT] = value;
    else if (!setting.cells.has(next[WEIGHT])) {
      const logarithm = (weight) => Math.log(weight + 1e-4); // of weights, which may be 0
      next[WEIGHT] = least([...setting.cells.keys()], (weight) =>
        Math.abs(logarithm(weight) - logarithm(selection[WEIGHT])),
      );
    }
    return { selection: next, changed };
  }

  // The selection that differs in the fewest fields from the given values of some fields; among equal
  // ones, that with the most defaults in the remaining fields.
  nearest(values) {
    const given = this.names.filter((name) => name in values);
    const others = this.names.filter((name) => !(name in values));
    const rank = (setting) => {
      const differs = (name, value) => !same(setting.values[name], value);
      const wrong = given.filter((name) => differs(name, values[name])).length;
      const unusual = others.filter((name) => differs(name, this.runs.field[name].default)).length;
      return 100 * wrong + unusual - 1e-5 * setting.cells.size;
    };
    const { values: found, cells } = least(this.all, rank);
    const selection = Object.fromEntries(this.names.map((name) => [name, found[name]]));
    const weight = cells.has(values[WEIGHT]) ? values[WEIGHT] : [...cells.keys()][0];
    return { ...selection, [WEIGHT]: weight };
  }

  // Cells {setting, values, runs} that match a selection in all fields except the free ones.
  matching(selection, free) {
    const fixed = this.names.filter((name) => !free.includes(name));
    const found = [];
    for (const setting of this.all) {
      if (!fixed.every((name) => same(setting.values[name], selection[name]))) continue;
      for (const [weight, runs] of setting.cells) {
        if (!free.includes(WEIGHT) && weight !== selection[WEIGHT]) continue;
        found.push({ setting, values: { ...setting.values, [WEIGHT]: weight }, runs });
      }
    }
    return found;
  }

  // Fields with several values that can be chosen without changing another field.
  varying(selection, free) {
    const found = this.reachable(selection, free);
    return [...found.keys()].filter((name) => found.get(name).size > 1);
  }
}
