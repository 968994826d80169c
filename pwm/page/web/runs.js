// The published runs, as `pwm/page/content.py` packs them: fields, conditions, outcomes.
//
// A run is a number. A condition is the runs that differ only in critic weight and seed; a cell is
// the part of a condition with one weight: its runs follow each other, with seeds 0, 1, 2, and so on.

const FULL = 65534; // stands for 1, or the largest entropy
const MISSING = 65535;
const OWN = ["critic_weight", "seed"]; // fields of a run that are not its condition's

export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

// Whether two values of a field are the same; some values are lists.
export function same(one, other) {
  return one === other || (Array.isArray(one) && String(one) === String(other));
}

export class Runs {
  constructor(index, bytes) {
    Object.assign(this, index);
    this.total = index.runs;
    this.column = {}; // bytes of each outcome
    let start = 0;
    for (const [name, width] of Object.entries(index.columns)) {
      this.column[name] = bytes.subarray(start, start + width * this.total);
      start += width * this.total;
    }
    this.field = Object.fromEntries(this.fields.map((field) => [field.name, field]));
    let first = 0; // run
    this.conditions = index.conditions.map(([choices, weights, seeds, experiments], number) => {
      const values = Object.fromEntries(
        this.fields.map((field, index) => [field.name, field.values[choices[index]]]),
      );
      const cells = weights.map((weight, index) => {
        const cell = { weight, first, seeds: seeds[index] };
        first += seeds[index];
        return cell;
      });
      const names = experiments.map((index) => this.experiments[index]);
      return { number, values, cells, experiments: names };
    });
    this.starts = this.conditions.map((condition) => condition.cells[0].first);
  }

  integer16(name, run) {
    const bytes = this.column[name];
    return bytes[2 * run] | (bytes[2 * run + 1] << 8);
  }

  // A number from 0 to 1, or NaN.
  fraction(name, run) {
    const number = this.integer16(name, run);
    return number === MISSING ? NaN : number / FULL;
  }

  // A float32 from its upper three bytes; the lowest byte is taken as 0.
  float24(name, run) {
    const bytes = this.column[name].subarray(3 * run, 3 * run + 3);
    return new DataView(Uint8Array.of(0, ...bytes).buffer).getFloat32(0, true);
  }

  // The condition of a run, by bisection.
  condition(run) {
    let low = 0;
    let high = this.starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] <= run) low = middle;
      else high = middle;
    }
    return this.conditions[low];
  }

  // The runs of a condition.
  runsOf({ cells }) {
    const size = cells.reduce((sum, { seeds }) => sum + seeds, 0);
    return Array.from({ length: size }, (_, number) => cells[0].first + number);
  }

  cell(run) {
    const { cells } = this.condition(run);
    return cells.find((cell) => run < cell.first + cell.seeds);
  }

  // All fields of a run by name.
  values(run) {
    const cell = this.cell(run);
    return { ...this.condition(run).values, critic_weight: cell.weight, seed: run - cell.first };
  }

  // An outcome of a run; times are in episodes, and Infinity for never.
  outcome(run, name) {
    const flags = this.column.flags[run];
    if (name === "learned") return flags & 1;
    if (name === "collapsed") return flags >> 1;
    if (name === "reward") return this.fraction(name, run);
    if (name === "entropy") return this.fraction(name, run) * Math.log(this.actions);
    if (name === "value_loss" || name === "critic_bias") return this.float24(name, run);
    const windows = this.integer16(name, run); // until the run learned, or collapsed
    return windows ? windows * this.condition(run).values.log_every : Infinity;
  }

  // The first 64 bits of the SHA-256 of a run's history, in hexadecimal.
  digest(run) {
    const bytes = this.column.digest.subarray(8 * run, 8 * run + 8);
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // The configuration of a run with these values, as `pwm.runs.fields.identity` nests it.
  identity(values) {
    const nested = { task: {}, agent: {}, loss: {} };
    for (const { name, section, omitted } of this.fields) {
      if (omitted !== undefined && same(values[name], omitted)) continue;
      (section ? nested[section] : nested)[name] = values[name];
    }
    for (const name of OWN) nested[name] = values[name];
    return nested;
  }

  // The published run with these values, or null.
  find(values) {
    for (const { values: theirs, cells } of this.conditions) {
      if (!this.fields.every(({ name }) => same(theirs[name], values[name]))) continue;
      const cell = cells.find(({ weight }) => weight === values.critic_weight);
      if (cell && values.seed < cell.seeds) return cell.first + values.seed;
    }
    return null;
  }

  // The values of the run that `python -m pwm.train` trains without flags.
  defaults() {
    const values = Object.fromEntries(this.fields.map((field) => [field.name, field.default]));
    return { ...values, critic_weight: 5, seed: 0 };
  }

  // The command that trains a run with these values.
  command(values) {
    const usual = this.defaults();
    const words = ["python -m pwm.train"];
    for (const [name, value] of Object.entries(values)) {
      if (same(value, usual[name])) continue;
      const flag = name === "seed" ? "seeds" : name.replaceAll("_", "-");
      if (typeof value === "boolean") words.push(value ? `--${flag}` : `--no-${flag}`);
      else words.push(`--${flag} ${Array.isArray(value) ? value.join(" ") : value}`);
    }
    return words.join(" ");
  }
}
