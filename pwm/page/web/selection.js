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
    const preference = ({ values }) => [100, 10, 1000].indexOf(values.log_every) + values.probe_at.length;
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
    this.weights = [...new Set(this.all.flatMap(({ cells }) => [...cells.keys()]))].sort((a, b) => a - b);
  }

  valuesOf(name) {
    return name === WEIGHT ? this.weights : this.runs.field[name].values;
  }

  // Settings that have a value of a field, each with what would change elsewhere.
  candidates(selection, free, name, value) {
    const has = (setting) =>
      name === WEIGHT ? setting.cells.has(value) : same(setting.values[name], value);
    const fixed = this.names.filter((each) => each !== name && !free.includes(each));
    return this.all.filter(has).map((setting) => {
      const changed = fixed.filter((each) => !same(setting.values[each], selection[each]));
      if (![WEIGHT, ...free].includes(name) && !free.includes(WEIGHT)) {
        if (!setting.cells.has(selection[WEIGHT])) changed.push(WEIGHT);
      }
      const cost = changed.reduce((sum, each) => sum + (COSTS[each] ?? 1), 0);
      const apart = free.filter((each) => !same(setting.values[each], selection[each])).length;
      return { setting, changed, rank: cost + 0.01 * apart - 1e-5 * setting.cells.size };
    });
  }

  // Values of a field that can be chosen: place, and whether another choice would change with it.
  options(selection, free, name) {
    return this.valuesOf(name)
      .map((value) => {
        const found = this.candidates(selection, free, name, value);
        return { value, exists: found.length > 0, alone: found.some(({ changed }) => !changed.length) };
      })
      .filter(({ exists }) => exists);
  }

  // The selection with a new value of a field, and the names of what else had to change.
  choose(selection, free, name, value) {
    const found = this.candidates(selection, free, name, value);
    const best = found.reduce((one, other) => (other.rank < one.rank ? other : one));
    const next = { ...selection };
    for (const each of this.names) next[each] = best.setting.values[each];
    if (name === WEIGHT) next[WEIGHT] = value;
    else if (!best.setting.cells.has(next[WEIGHT])) {
      const distance = (weight) => Math.abs(Math.log((weight + 1e-4) / (next[WEIGHT] + 1e-4)));
      next[WEIGHT] = [...best.setting.cells.keys()].reduce((one, other) =>
        distance(other) < distance(one) ? other : one,
      );
    }
    return { selection: next, changed: best.changed };
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
    const weight = setting.cells.has(values[WEIGHT]) ? values[WEIGHT] : [...setting.cells.keys()][0];
    return { ...Object.fromEntries(this.names.map((name) => [name, setting.values[name]])), [WEIGHT]: weight };
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
    return [WEIGHT, ...this.names].filter((name) => {
      const cells = this.matching(selection, [...new Set([...free, name])]);
      return new Set(cells.map((cell) => String(cell.values[name]))).size > 1;
    });
  }
}
