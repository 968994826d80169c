// The published runs, as `pwm/page/content.py` packs them: fields, conditions, outcomes.

const FULL = 65534;
const MISSING = 65535;
const OWN = ["critic_weight", "seed"];

export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  return bytes;
}

// Whether two values of a field are the same; `probe_at` is a list.
export function same(one, other) {
  return one === other || (Array.isArray(one) && String(one) === String(other));
}

export class Runs {
  constructor(index, bytes) {
    Object.assign(this, index);
    this.total = index.runs;
    const parts = {};
    let first = 0;
    for (const [name, width] of Object.entries(index.columns)) {
      parts[name] = bytes.subarray(first, first + width * this.total);
      first += width * this.total;
    }
    this.parts = parts;
    this.field = Object.fromEntries(this.fields.map((field) => [field.name, field]));
    first = 0;
    this.conditions = index.conditions.map(([places, weights, seeds, experiments], number) => {
      const values = {};
      this.fields.forEach((field, place) => (values[field.name] = field.values[places[place]]));
      const cells = weights.map((weight, place) => {
        const cell = { weight, first, seeds: seeds[place] };
        first += seeds[place];
        return cell;
      });
      const names = experiments.map((place) => this.experiments[place]);
      return { number, values, cells, experiments: names };
    });
    this.starts = this.conditions.map((condition) => condition.cells[0].first);
  }

  short(name, run) {
    const part = this.parts[name];
    return part[2 * run] | (part[2 * run + 1] << 8);
  }

  // A part of a whole, or NaN.
  part(name, run) {
    const number = this.short(name, run);
    return number === MISSING ? NaN : number / FULL;
  }

  float(name, run) {
    const part = this.parts[name].subarray(3 * run, 3 * run + 3);
    const view = new DataView(new ArrayBuffer(4));
    part.forEach((byte, place) => view.setUint8(place + 1, byte));
    return view.getFloat32(0, true);
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

  cell(run) {
    const { cells } = this.condition(run);
    return cells.find((cell) => run < cell.first + cell.seeds);
  }

  // All fields of a run by name.
  values(run) {
    const cell = this.cell(run);
    return { ...this.condition(run).values, critic_weight: cell.weight, seed: run - cell.first };
  }

  outcome(run, name) {
    const flags = this.parts.flags[run];
    if (name === "learned") return flags & 1;
    if (name === "collapsed") return flags >> 1;
    if (name === "reward") return this.part(name, run);
    if (name === "entropy") return this.part(name, run) * Math.log(this.actions);
    if (name === "value_loss" || name === "critic_bias") return this.float(name, run);
    const windows = this.short(name, run); // of time or collapse
    return windows ? windows * this.condition(run).values.log_every : Infinity;
  }

  // The first 64 bits of the SHA-256 of a run's history, in hexadecimal.
  digest(run) {
    const bytes = this.parts.digest.subarray(8 * run, 8 * run + 8);
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // A run's identity, as `pwm.runs.fields.identity` nests it.
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

  // The values of `python -m pwm.train` without flags.
  defaults() {
    const values = Object.fromEntries(this.fields.map((field) => [field.name, field.default]));
    return { ...values, critic_weight: 5, seed: 0 };
  }

  // The command that trains a run.
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
