// Charts of series, one <svg> per panel.
//
// A series has a colour (a number), `points` {x, y} in order of x, and `law`, predicted points {x, y}.
// In a panel with marks, points have an interval from `low` to `high` too. Axes are those of
// axis.js; y may be Infinity where the axis has a place for it.

import { element, shape } from "./dom.js";

const MARGIN = { left: 46, right: 12, top: 12, bottom: 40 };
const MARKERS = [
  "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z",
  "M-3.6,-3.6h7.2v7.2h-7.2Z",
  "M0,-4.8L4.4,3.4H-4.4Z",
  "M0,-5L5,0L0,5L-5,0Z",
  "M0,4.8L4.4,-3.4H-4.4Z",
  "M-1.5,-4.6h3v3.1h3.1v3h-3.1v3.1h-3v-3.1h-3.1v-3h3.1Z",
];
export const COLOURS = 8; // classes s0 to s7 of the style
const LETTER = 6.4; // estimated width
const LONGEST = 12; // letters of a turned tick
const REACH = 28; // distance within which a point is pointed at

function marker(colour, attributes = {}) {
  const path = { d: MARKERS[colour % MARKERS.length], class: `mark s${colour % COLOURS}` };
  return shape("path", { ...path, ...attributes });
}

// A series' marker as an icon for legends.
export function icon(colour) {
  const size = { viewBox: "-6 -6 12 12", width: 12, height: 12 };
  return shape("svg", { ...size, "aria-hidden": "true" }, marker(colour));
}

function line(name, [x1, y1], [x2, y2]) {
  return shape("line", { class: name, x1, y1, x2, y2 });
}

function label(name, x, y, anchor, text) {
  return shape("text", { class: name, x, y, "text-anchor": anchor }, text);
}

// An <svg> with axes, and the functions `left` and `top` from values to coordinates in it. `levels`
// are values of y that have a dotted line.
function frame({ x, y, xLabel, width, height, description, levels }) {
  const right = width - MARGIN.right;
  const bottom = height - MARGIN.bottom;
  const left = (value) => MARGIN.left + (right - MARGIN.left) * x.at(value);
  const top = (value) =>
    MARGIN.top + (bottom - MARGIN.top) * (1 - Math.min(Math.max(y.at(value), 0), 1));
  const size = { viewBox: `0 0 ${width} ${height}`, width, height };
  const svg = shape("svg", { class: "panel", ...size, role: "img", "aria-label": description });
  for (const [tick, text] of y.ticks) {
    const level = top(tick);
    svg.append(line("grid", [MARGIN.left, level], [right, level]));
    svg.append(label("tick", MARGIN.left - 6, level + 3.5, "end", text));
  }
  for (const [tick] of x.ticks)
    svg.append(line("axis", [left(tick), bottom], [left(tick), bottom + 4]));
  const longest = Math.max(...x.ticks.map(([, text]) => text.length));
  const isCrowded = LETTER * longest * x.ticks.length > right - MARGIN.left;
  if (x.isCategory && isCrowded) {
    svg.append(...turnedTicks(x, left, bottom));
  } else {
    svg.append(...levelTicks(x, left, bottom + 16, width));
    const middle = (MARGIN.left + right) / 2;
    svg.append(label("label", middle, height - 5, "middle", xLabel));
  }
  svg.append(line("axis", [MARGIN.left, bottom], [right, bottom]));
  for (const value of levels)
    svg.append(line("level", [MARGIN.left, top(value)], [right, top(value)]));
  return { svg, left, top };
}

function turnedTicks(x, left, bottom) {
  return x.ticks.map(([tick, text]) => {
    const short = text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
    const transform = `translate(${left(tick) + 4},${bottom + 12}) rotate(-35)`;
    return shape("text", { class: "tick", transform, "text-anchor": "end" }, short);
  });
}

// Labels of ticks in a row; one that would overlap the label before it or leave the chart is omitted.
function levelTicks(x, left, y, width) {
  const ticks = [];
  let free = -Infinity; // where the last tick ends
  for (const [tick, text] of x.ticks) {
    const place = left(tick);
    const half = (text.length * LETTER) / 2;
    if (place - half <= free + 4) continue;
    const beyond = Math.max(0, place + half - width);
    ticks.push(label("tick", place - beyond, y, "middle", text));
    free = place + half;
  }
  return ticks;
}

function path(name, points, left, top) {
  const corners = points.map(({ x, y }) => `${left(x).toFixed(1)},${top(y).toFixed(1)}`);
  return shape("path", { class: name, d: corners.length ? `M${corners.join("L")}` : "" });
}

function figure(title, svg) {
  return element("figure", { class: "chart" }, element("figcaption", {}, title), svg);
}

// A chart of curves without marks. The options are those of `frame`, a title and series.
export function curves({ title, series, ...options }) {
  const { svg, left, top } = frame(options);
  for (const { colour, points, law } of series)
    svg.append(path(`law s${colour}`, law, left, top), path(`curve s${colour}`, points, left, top));
  return figure(title, svg);
}

// A chart of points with intervals. The options are those of `frame` and:
//   id, title, series
//   onReach   called with {point, series, x, y, svg, byKey} as a point is pointed at, or reached by
//             an arrow key, which is `byKey`; with null as it is left
//   onPick    called with a point that is clicked, or at which Enter is pressed
export function panel({ id, title, series, onReach, onPick, ...options }) {
  const { svg, left, top } = frame(options);
  svg.id = id;
  svg.setAttribute("tabindex", "0");
  const marks = shape("g", {});
  const spots = [];
  series.forEach((one, number) => {
    // Series are shifted a little, so that their marks do not cover each other.
    const shift = (number - (series.length - 1) / 2) * Math.min(4, 14 / series.length);
    const shifted = (value) => left(value) + shift;
    svg.append(...lines(one, shifted, top, options.x.isCategory));
    for (const point of one.points.filter(({ y }) => !Number.isNaN(y))) {
      const [x, y] = [shifted(point.x), top(point.y)];
      const hollow = point.y === Infinity ? " hollow" : "";
      const attributes = {
        transform: `translate(${x.toFixed(1)},${y.toFixed(1)})`,
        class: `mark s${one.colour % COLOURS}${hollow}`,
      };
      marks.append(marker(one.colour, attributes));
      spots.push({ x, y, point, series: one });
    }
  });
  svg.append(marks);
  spots.sort((one, other) => one.x - other.x || one.y - other.y);
  makeReachable(svg, spots, options.width, onReach, onPick);
  return figure(title, svg);
}

// Shapes of a series: its law, the curve through its points unless x is a category, its intervals.
function lines({ colour, points, law }, left, top, isCategory) {
  const colourClass = `s${colour % COLOURS}`;
  const finite = points.filter(({ y }) => Number.isFinite(y));
  const drawn = [path(`law ${colourClass}`, law, left, top)];
  if (!isCategory) drawn.push(path(`curve ${colourClass}`, finite, left, top));
  for (const { x, y, low, high } of points) {
    if (Number.isNaN(y) || !Number.isFinite(low)) continue;
    drawn.push(line(`range ${colourClass}`, [left(x), top(low)], [left(x), top(high)]));
  }
  return drawn;
}

// Lets a pointer and keys reach spots {x, y, point, series} of an <svg>, and marks the current spot
// by a ring. `width` is the width of the svg's coordinates.
function makeReachable(svg, spots, width, onReach, onPick) {
  const ring = shape("circle", { class: "ring", r: 9, visibility: "hidden" });
  svg.append(ring);
  let current = -1; // index of the spot; -1 for none
  const reach = (index, byKey) => {
    current = index;
    const spot = spots[index];
    ring.setAttribute("visibility", spot ? "visible" : "hidden");
    if (spot) {
      ring.setAttribute("cx", spot.x);
      ring.setAttribute("cy", spot.y);
    }
    onReach(spot ? { ...spot, svg, byKey } : null);
  };
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let best = -1;
    let least = REACH ** 2;
    spots.forEach((spot, index) => {
      const distance = (spot.x - x) ** 2 + (spot.y - y) ** 2;
      if (distance < least) [best, least] = [index, distance];
    });
    return best;
  };
  svg.addEventListener("pointermove", (event) => reach(nearest(event), false));
  svg.addEventListener("pointerleave", () => reach(-1, false));
  svg.addEventListener("blur", () => reach(-1, false));
  svg.addEventListener("click", (event) => {
    const index = nearest(event);
    reach(index, false);
    if (index >= 0) onPick(spots[index].point);
  });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && spots.length) {
      event.preventDefault();
      reach((current + step + spots.length) % spots.length, true);
    } else if (event.key === "Enter" && current >= 0) onPick(spots[current].point);
    else if (event.key === "Escape") reach(-1, true);
  });
}
