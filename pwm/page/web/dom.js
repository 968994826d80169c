// Elements of the page: how they are made and changed, and parts that several sections share.

const SVG = "http://www.w3.org/2000/svg";

export function byId(id) {
  return document.getElementById(id);
}

function completed(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// An HTML element. Attributes `on...` are listeners; those that are false or null are left out.
export function element(tag, attributes = {}, ...children) {
  return completed(document.createElement(tag), attributes, children);
}

// An SVG element; the arguments are those of `element`.
export function shape(tag, attributes = {}, ...children) {
  return completed(document.createElementNS(SVG, tag), attributes, children);
}

export function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

// A control, which has an id, under its label.
export function labelled(label, control) {
  return element("label", { class: "field", for: control.id }, element("span", {}, label), control);
}

export function textInput(id, value, attributes = {}) {
  return element("input", { id, value, autocomplete: "off", inputmode: "numeric", ...attributes });
}

// A labelled <select> of options {text, group}; `onChoice` gets the index of the chosen one.
export function choice(id, label, options, current, onChoice) {
  const select = element("select", { id, onchange: () => onChoice(Number(select.value)) });
  const groups = new Map([["", select]]);
  options.forEach(({ text, group = "" }, index) => {
    if (!groups.has(group)) {
      groups.set(group, element("optgroup", { label: group }));
      select.append(groups.get(group));
    }
    const attributes = { value: index, selected: index === current };
    groups.get(group).append(element("option", attributes, text));
  });
  return labelled(label, select);
}

// Replaces an element's content; the focus stays on the control with the same id.
export function replace(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.id : "";
  parent.replaceChildren(...children);
  if (focused) byId(focused)?.focus();
}

// Replaces an element's text, unless it is the same: screen readers announce every change.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Fills a <table> with column titles, and with rows, which are lists of texts or of <td> elements.
export function fillTable(table, titles, rows) {
  const asCell = (content) =>
    content instanceof HTMLElement ? content : element("td", {}, String(content));
  const head = titles.map((title) => element("th", { scope: "col" }, title));
  const body = rows.map((row) => element("tr", {}, ...row.map(asCell)));
  replace(table, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}

// Adds a named progress bar; returns a function that sets the fraction done and the text next to it.
export function progressBar(parent, name) {
  const bar = element("progress", { max: 1, value: 0, "aria-label": name });
  const note = element("span", {});
  parent.append(element("div", { class: "bar" }, element("span", {}, name), bar, note));
  return (fraction, text) => {
    bar.value = fraction;
    setText(note, text);
  };
}

// A box with the result of a comparison. A paragraph is a text, or a list of texts and elements.
export function verdict(isSame, title, ...paragraphs) {
  const mark = element("span", { class: "mark-text", "aria-hidden": "true" }, isSame ? "✓" : "✗");
  const lines = paragraphs.map((content) => element("p", {}, ...[content].flat()));
  const text = element("div", {}, element("strong", {}, title), ...lines);
  return element("div", { class: `sign ${isSame ? "same" : "different"}` }, mark, text);
}

export function hideTip() {
  byId("tip").hidden = true;
}

// Shows the tooltip above a point of the window, and within it.
export function showTip(x, y, title, text) {
  const tip = byId("tip");
  tip.hidden = false;
  replace(tip, element("strong", {}, title), element("span", {}, text));
  const half = tip.offsetWidth / 2;
  const middle = Math.min(Math.max(x, half + 8), innerWidth - half - 8);
  tip.style.left = `${middle - half + scrollX}px`;
  tip.style.top = `${y - tip.offsetHeight - 14 + scrollY}px`;
}
