// Axes of charts. An axis has `at`, a function from a value to its position between 0 and 1, and
// `ticks`, pairs of a value and its text.

import { rounded } from "./words.js";

const HEADROOM = 1.06; // above the largest value of a linear axis
const MARGIN_OF_CATEGORIES = 0.06; // before the first and after the last
const [ZERO_AT, NEVER_AT] = [0.04, 0.97]; // positions on a logarithmic axis
const [ROOM_FOR_ZERO, ROOM_FOR_NEVER] = [0.16, 0.12]; // of the range
const POWERS = [1, 10, 100, 1000, 10000];

// An axis over some values, of which those that are not finite are ignored. `kind` is a key of
// `AXES`. Options: `text`, a function from a tick to its text; `low` and `high`, the ends; `never`,
// whether a logarithmic axis has a place for Infinity.
export function axisOf(kind, values, options = {}) {
  const text = options.text ?? rounded;
  const finite = values.filter((value) => kind === "category" || Number.isFinite(value));
  const { at, ticks } = AXES[kind]([...new Set(finite)], options);
  const named = (tick) => (tick === Infinity ? "never" : text(tick));
  return { at, ticks: ticks.map((tick) => [tick, named(tick)]), isCategory: kind === "category" };
}

const AXES = { category: categoryAxis, linear: linearAxis, log: logAxis, symlog: symlogAxis };

function categoryAxis(values) {
  const index = new Map(values.map((value, number) => [value, number]));
  const step = (1 - 2 * MARGIN_OF_CATEGORIES) / Math.max(values.length - 1, 1);
  const at = (value) =>
    values.length === 1 ? 0.5 : MARGIN_OF_CATEGORIES + step * index.get(value);
  return { at, ticks: values };
}

function linearAxis(values, { low, high }) {
  const bottom = low ?? Math.min(...values, 0);
  const top = high ?? Math.max(...values, 0) * HEADROOM;
  const step = niceStep(top - bottom);
  const ticks = [];
  for (let tick = Math.ceil(bottom / step); tick * step <= top + 1e-9; tick++)
    ticks.push(tick * step);
  return { at: (value) => (value - bottom) / (top - bottom), ticks };
}

function niceStep(range) {
  const rough = range / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= rough) * power;
}

// Linear around 0 and logarithmic further out, by the inverse hyperbolic sine.
function symlogAxis(values) {
  const bend = (value) => Math.asinh(value * 2);
  const [bottom, top] = [bend(Math.min(...values, 0)) - 0.3, bend(Math.max(...values, 1)) + 0.3];
  const at = (value) => (bend(value) - bottom) / (top - bottom);
  const ticks = [...POWERS.map((power) => -power).reverse(), 0, ...POWERS];
  return { at, ticks: ticks.filter((tick) => at(tick) >= 0 && at(tick) <= 1) };
}

// Logarithmic, with a place for 0 below if it occurs, and one for Infinity above if `never`.
function logAxis(values, { high, never }) {
  const positive = values.filter((value) => value > 0);
  const least = Math.min(...positive, high ?? Infinity);
  const most = high ?? Math.max(...positive, least);
  const hasZero = values.includes(0);
  const range = Math.log(most / least);
  const pad = Math.max(0.04 * range, 0.12);
  const bottom = Math.log(least) - pad - (hasZero ? ROOM_FOR_ZERO * Math.max(range, 1) : 0);
  const top = Math.log(most) + pad + (never ? ROOM_FOR_NEVER * Math.max(range, 1) : 0);
  const at = (value) => {
    if (value === 0) return ZERO_AT;
    return value === Infinity ? NEVER_AT : (Math.log(value) - bottom) / (top - bottom);
  };
  const ticks = logTicks(least, most);
  return { at, ticks: [...(hasZero ? [0] : []), ...ticks, ...(never ? [Infinity] : [])] };
}

// Powers of ten, only every second one if there are more than eight; also 2 and 5 times each power if
// the range is at most a factor of 100.
function logTicks(least, most) {
  const [first, last] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const powers = Array.from({ length: last - first + 1 }, (_, number) => first + number);
  const every = powers.length > 8 ? 2 : 1;
  const factors = Math.log10(most / least) > 2 ? [1] : [1, 2, 5];
  return powers
    .filter((power) => power % every === 0)
    .flatMap((power) => factors.map((factor) => Number((factor * 10 ** power).toPrecision(2))))
    .filter((tick) => tick >= least * 0.93 && tick <= most * 1.07);
}
