// What is shown of the runs: a selection of fields, and the cells that match it.
//
// A *setting* is a condition without how its runs were recorded (windows and probes), which does
// not change the training. A run that was recorded in several ways counts once.

import { same } from "./runs.js";

const RECORDED = ["log_every", "probe_episodes", "probe_at"];
export const WEIGHT = "critic_weight";
// How much it takes to change a field that was not asked for; 1 for the others.
const COSTS = { baseline: 4, returns: 4, episode_length: 3, learning_rate: 2, num_episodes: 0.5 };

export class Settings {
  constructor(runs) {
    this.runs = runs;
    this.names = runs.fields
      .filter((field) => field.values.length > 1 && !RECORDED.includes(field.name))
      .map((field) => field.name);
    const known = new Map();
    const preference = ({ values }) =>
      [100, 10, 1000].indexOf(values.log_every) + values.probe_at.length;
    for (const condition of [...runs.conditions].sort((a, b) => preference(a) - preference(b))) {
      const key = JSON.stringify(this.names.map((name) => condition.values[name]));
      if (!known.has(key)) {
        known.set(key, { values: condition.values, cells: new Map(), experiments: new Set() });
      }
      const setting = known.get(key);
      condition.experiments.forEach((name) => setting.experiments.add(name));
      for (const { weight, first, seeds } of condition.cells) {
        const chosen = setting.cells.get(weight) ?? [];
        for (let seed = 0; seed < seeds; seed++) chosen[seed] ??= first + seed;
        setting.cells.set(weight, chosen);
      }
    }
    this.all = [...known.values()];
    this.weights = [...new Set(this.all.flatMap(({ cells }) => [...cells.keys()]))].sort(
      (a, b) => a - b,
    );
  }

  valuesOf(name) {
    return name === WEIGHT ? this.weights : this.runs.field[name].values;
  }

  // For each setting the fields, but for the free ones, in which it differs from a selection.
  differing(selection, free) {
    const fixed = this.names.filter((name) => !free.includes(name));
    return this.all.map((setting) => {
      const names = fixed.filter((name) => !same(setting.values[name], selection[name]));
      if (!free.includes(WEIGHT) && !setting.cells.has(selection[WEIGHT])) names.push(WEIGHT);
      return names;
    });
  }

  // Values of each field in settings that do not differ from a selection in any other.
  reachable(selection, free) {
    const found = new Map([WEIGHT, ...this.names].map((name) => [name, new Set()]));
    const add = (name, { values, cells }) => {
      for (const value of name === WEIGHT ? cells.keys() : [values[name]])
        found.get(name).add(value);
    };
    this.differing(selection, free).forEach((names, place) => {
      if (names.length === 0) for (const name of found.keys()) add(name, this.all[place]);
      else if (names.length === 1) add(names[0], this.all[place]);
    });
    return found;
  }

  // The selection with a new value of a field, and the names of what else had to change.
  choose(selection, free, name, value) {
    const ranked = this.differing(selection, free).map((names, place) => {
      const setting = this.all[place];
      const has = name === WEIGHT ? setting.cells.has(value) : same(setting.values[name], value);
      const changed = names.filter((each) => each !== name);
      const cost = changed.reduce((sum, each) => sum + (COSTS[each] ?? 1), 0);
      const apart = free.filter((each) => !same(setting.values[each], selection[each])).length;
      return {
        setting,
        changed,
        rank: has ? cost + 0.01 * apart - 1e-5 * setting.cells.size : Infinity,
      };
    });
    const { setting, changed } = ranked.reduce((one, other) =>
      other.rank < one.rank ? other : one,
    );
    const next = { ...selection };
    for (const each of this.names) next[each] = setting.values[each];
    if (name === WEIGHT) next[WEIGHT] = value;
    else if (!setting.cells.has(next[WEIGHT])) {
      const distance = (weight) => Math.abs(Math.log((weight + 1e-4) / (selection[WEIGHT] + 1e-4)));
      const weights = [...setting.cells.keys()];
      next[WEIGHT] = weights.reduce((one, other) =>
        distance(other) < distance(one) ? other : one,
      );
    }
    return { selection: next, changed };
  }

  // The selection completed from some values: the nearest setting there is.
  nearest(values) {
    const has = Object.keys(values).filter((name) => this.names.includes(name));
    const ranked = this.all.map((setting) => {
      const wrong = has.filter((name) => !same(setting.values[name], values[name])).length;
      const usual = this.names.filter(
        (name) => !has.includes(name) && !same(setting.values[name], this.runs.field[name].default),
      ).length;
      return { setting, rank: wrong * 100 + usual - 1e-5 * setting.cells.size };
    });
    const { setting } = ranked.reduce((one, other) => (other.rank < one.rank ? other : one));
    const weight = setting.cells.has(values[WEIGHT])
      ? values[WEIGHT]
      : [...setting.cells.keys()][0];
    return {
      ...Object.fromEntries(this.names.map((name) => [name, setting.values[name]])),
      [WEIGHT]: weight,
    };
  }

  // Cells that match a selection in all fields but the free ones, each with its own values.
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

  // Fields with several values among the settings that match in all others.
  varying(selection, free) {
    const found = this.reachable(selection, free);
    return [...found.keys()].filter((name) => found.get(name).size > 1);
  }
}
