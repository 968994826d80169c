// Charts of series of points with intervals, one <svg> per panel.
//
// A series has name, colour (a number), points {x, y, low, high, text, cell} in order of x, and law,
// a list of {x, y}. An axis comes from `axisOf`; y may be Infinity, which is drawn as "never".

import { element, shape } from "./dom.js";
import { plain } from "./words.js";

const MARGIN = { left: 46, right: 12, top: 12, bottom: 40 };
const MARKERS = [
  "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z",
  "M-3.6,-3.6h7.2v7.2h-7.2Z",
  "M0,-4.8L4.4,3.4H-4.4Z",
  "M0,-5L5,0L0,5L-5,0Z",
  "M0,4.8L4.4,-3.4H-4.4Z",
  "M-1.5,-4.6h3v3.1h3.1v3h-3.1v3.1h-3v-3.1h-3.1v-3h3.1Z",
];
export const COLOURS = 8;

export function marker(series, attributes = {}) {
  const path = { d: MARKERS[series % MARKERS.length], class: `mark s${series % COLOURS}` };
  return shape("path", { ...path, ...attributes });
}

// An axis over some values: "log" with a place of its own for 0, "linear", "symlog", or "category".
export function axisOf(kind, values, { text = plain, low, high, never = false } = {}) {
  const finite = [
    ...new Set(values.filter((value) => Number.isFinite(value) || kind === "category")),
  ];
  if (kind === "category") {
    const place = new Map(finite.map((value, number) => [value, number]));
    const last = Math.max(finite.length - 1, 1);
    const at = (value) => (finite.length === 1 ? 0.5 : 0.06 + (0.88 * place.get(value)) / last);
    return { at, ticks: finite.map((value) => [value, text(value)]), category: true };
  }
  if (kind === "linear") {
    const [bottom, top] = [low ?? Math.min(...finite, 0), high ?? Math.max(...finite, 0) * 1.06];
    const step = niceStep(top - bottom);
    const ticks = [];
    for (let tick = Math.ceil(bottom / step); tick * step <= top + 1e-9; tick++)
      ticks.push(tick * step);
    const at = (value) => (value - bottom) / (top - bottom);
    return { at, ticks: ticks.map((tick) => [tick, text(tick)]) };
  }
  if (kind === "symlog") {
    const bend = (value) => Math.asinh(value * 2);
    const [bottom, top] = [bend(Math.min(...finite, 0)) - 0.3, bend(Math.max(...finite, 1)) + 0.3];
    const powers = [1, 10, 100, 1000, 10000];
    const ticks = [...powers.map((power) => -power).reverse(), 0, ...powers];
    const at = (value) => (bend(value) - bottom) / (top - bottom);
    return {
      at,
      ticks: ticks
        .filter((tick) => at(tick) >= 0 && at(tick) <= 1)
        .map((tick) => [tick, text(tick)]),
    };
  }
  const positive = finite.filter((value) => value > 0);
  const least = low ?? Math.min(...positive, high ?? Infinity);
  const most = high ?? Math.max(...positive, least);
  const zero = finite.includes(0);
  const pad = Math.max(0.04 * Math.log(most / least), 0.12);
  const bottom = Math.log(least) - pad - (zero ? 0.16 * Math.max(Math.log(most / least), 1) : 0);
  const top = Math.log(most) + pad + (never ? 0.12 * Math.max(Math.log(most / least), 1) : 0);
  const at = (value) => {
    if (value === 0) return 0.04;
    return value === Infinity ? 0.97 : (Math.log(value) - bottom) / (top - bottom);
  };
  const ticks = logTicks(least, most).map((tick) => [tick, text(tick)]);
  if (zero) ticks.unshift([0, "0"]);
  if (never) ticks.push([Infinity, "never"]);
  return { at, ticks };
}

function niceStep(range) {
  const rough = range / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= rough) * power;
}

function logTicks(least, most) {
  const powers = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(most)); power++) {
    powers.push(power);
  }
  const every = powers.length > 8 ? 2 : 1;
  const factors = Math.log10(most / least) > 2 ? [1] : [1, 2, 5];
  return powers
    .filter((power) => power % every === 0)
    .flatMap((power) => factors.map((factor) => Number((factor * 10 ** power).toPrecision(2))))
    .filter((tick) => tick >= least * 0.93 && tick <= most * 1.07);
}

// An <svg> with its axes, and functions from values to places in it.
function frame({ x, y, xLabel, width, height, description, lines }) {
  const inner = {
    width: width - MARGIN.left - MARGIN.right,
    height: height - MARGIN.top - MARGIN.bottom,
  };
  const left = (value) => MARGIN.left + inner.width * x.at(value);
  const top = (value) => MARGIN.top + inner.height * (1 - Math.min(Math.max(y.at(value), 0), 1));
  const svg = shape("svg", {
    class: "panel",
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": description,
  });
  for (const [tick, text] of y.ticks) {
    const level = top(tick);
    svg.append(
      shape("line", {
        class: "grid",
        x1: MARGIN.left,
        x2: width - MARGIN.right,
        y1: level,
        y2: level,
      }),
      shape(
        "text",
        { class: "tick", x: MARGIN.left - 6, y: level + 3.5, "text-anchor": "end" },
        text,
      ),
    );
  }
  let free = -Infinity; // where the last tick's label ended
  const widest = Math.max(...x.ticks.map(([, text]) => text.length)) * 6.2;
  const turned = x.category && widest * x.ticks.length > inner.width;
  for (const [tick, text] of x.ticks) {
    const place = left(tick);
    const half = text.length * 3.2;
    const base = height - MARGIN.bottom;
    svg.append(shape("line", { class: "axis", x1: place, x2: place, y1: base, y2: base + 4 }));
    if (turned) {
      const short = text.length > 12 ? `${text.slice(0, 11)}…` : text;
      const turn = `translate(${place + 4},${base + 12}) rotate(-35)`;
      svg.append(shape("text", { class: "tick", transform: turn, "text-anchor": "end" }, short));
    } else if (place - half > free + 4) {
      const beyond = Math.max(0, place + half - width);
      svg.append(
        shape(
          "text",
          { class: "tick", x: place - beyond, y: base + 16, "text-anchor": "middle" },
          text,
        ),
      );
      free = place + half;
    }
  }
  svg.append(
    shape("line", {
      class: "axis",
      x1: MARGIN.left,
      x2: width - MARGIN.right,
      y1: height - MARGIN.bottom,
      y2: height - MARGIN.bottom,
    }),
  );
  if (!turned)
    svg.append(
      shape(
        "text",
        {
          class: "label",
          x: MARGIN.left + inner.width / 2,
          y: height - 5,
          "text-anchor": "middle",
        },
        xLabel,
      ),
    );
  for (const value of lines) {
    svg.append(
      shape("line", {
        class: "level",
        x1: MARGIN.left,
        x2: width - MARGIN.right,
        y1: top(value),
        y2: top(value),
      }),
    );
  }
  return { svg, left, top };
}

function path(points, left, top) {
  return points
    .map(
      (point, place) =>
        `${place ? "L" : "M"}${left(point.x).toFixed(1)},${top(point.y).toFixed(1)}`,
    )
    .join("");
}

// Draws curves {points, law} without marks.
export function curves({ title, series, x, y, width, height, xLabel, lines, description }) {
  const { svg, left, top } = frame({ x, y, xLabel, width, height, description, lines });
  for (const { colour, points, law } of series) {
    svg.append(shape("path", { class: `law s${colour}`, d: path(law, left, top) }));
    svg.append(shape("path", { class: `curve s${colour}`, d: path(points, left, top) }));
  }
  return element("figure", { class: "chart" }, element("figcaption", {}, title), svg);
}

// Draws a panel. `show(point, series, place)` is called as a point is pointed at or reached by the
// arrow keys, with null to hide; `picked(point)` as it is clicked or Enter is pressed.
export function panel({
  id,
  title,
  series,
  x,
  y,
  xLabel,
  yLabel,
  width,
  height,
  description,
  show,
  picked,
  lines = [],
}) {
  const { svg, left, top } = frame({ x, y, xLabel, width, height, description, lines });
  svg.id = id;
  svg.setAttribute("tabindex", "0");
  const marks = shape("g", {});
  const spots = [];
  series.forEach((each, number) => {
    const colour = `s${each.colour % COLOURS}`;
    const shift = (number - (series.length - 1) / 2) * Math.min(4, 14 / series.length);
    const aside = (value) => left(value) + shift;
    svg.append(shape("path", { class: `law ${colour}`, d: path(each.law, aside, top) }));
    const known = each.points.filter((point) => !Number.isNaN(point.y));
    if (!x.category)
      svg.append(
        shape("path", {
          class: `curve ${colour}`,
          d: path(
            known.filter((point) => point.y !== Infinity),
            aside,
            top,
          ),
        }),
      );
    for (const point of known) {
      const place = aside(point.x);
      if (Number.isFinite(point.low)) {
        const high = point.high ?? point.y;
        svg.append(
          shape("line", {
            class: `range ${colour}`,
            x1: place,
            x2: place,
            y1: top(point.low),
            y2: top(high),
          }),
        );
      }
      const hollow = point.y === Infinity ? " hollow" : "";
      marks.append(
        marker(each.colour, {
          transform: `translate(${place.toFixed(1)},${top(point.y).toFixed(1)})`,
          class: `mark ${colour}${hollow}`,
        }),
      );
      spots.push({ place, level: top(point.y), point, series: each });
    }
  });
  const ring = shape("circle", { class: "ring", r: 9, visibility: "hidden" });
  svg.append(marks, ring);
  spots.sort((one, other) => one.place - other.place || one.level - other.level);
  let current = -1;
  const reach = (number, byKey) => {
    current = number;
    const spot = spots[number];
    ring.setAttribute("visibility", spot ? "visible" : "hidden");
    if (spot) {
      ring.setAttribute("cx", spot.place);
      ring.setAttribute("cy", spot.level);
    }
    show(spot ? { ...spot, svg, byKey } : null);
  };
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const [pointerX, pointerY] = [event.clientX - box.left, event.clientY - box.top];
    const scale = width / box.width;
    let best = -1;
    let least = 28 ** 2;
    spots.forEach(({ place, level }, number) => {
      const distance = (place - pointerX * scale) ** 2 + (level - pointerY * scale) ** 2;
      if (distance < least) [best, least] = [number, distance];
    });
    return best;
  };
  svg.addEventListener("pointermove", (event) => reach(nearest(event), false));
  svg.addEventListener("pointerleave", () => reach(-1, false));
  svg.addEventListener("blur", () => reach(-1, false));
  svg.addEventListener("click", (event) => {
    const number = nearest(event);
    reach(number, false);
    if (number >= 0) picked(spots[number].point);
  });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && spots.length) {
      event.preventDefault();
      reach((current + step + spots.length) % spots.length, true);
    } else if (event.key === "Enter" && current >= 0) picked(spots[current].point);
    else if (event.key === "Escape") reach(-1, true);
  });
  return element("figure", { class: "chart" }, element("figcaption", {}, title || yLabel), svg);
}
