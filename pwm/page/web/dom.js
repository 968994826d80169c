// Elements.

const SVG = "http://www.w3.org/2000/svg";

export function byId(id) {
  return document.getElementById(id);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

// A labelled <select> of options {value, text, group}; calls `chosen` with the value's place.
export function choice(id, label, options, current, chosen) {
  const select = element("select", { id, onchange: () => chosen(Number(select.value)) });
  const groups = new Map([["", select]]);
  options.forEach(({ text, group = "" }, place) => {
    if (!groups.has(group)) {
      const inner = element("optgroup", { label: group });
      groups.set(group, inner);
      select.append(inner);
    }
    groups
      .get(group)
      .append(element("option", { value: place, selected: place === current }, text));
  });
  return element("label", { class: "field", for: id }, element("span", {}, label), select);
}

// Replaces an element's content, and leaves the focus on the control that has the same id.
export function replace(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.id : "";
  parent.replaceChildren(...children);
  if (focused) byId(focused)?.focus();
}

// A bar of progress with its name; returns a function of the part that is done and of words about it.
export function progressBar(parent, name) {
  const bar = element("progress", { max: 1, value: 0, "aria-label": name });
  const words = element("span", {});
  parent.append(element("div", { class: "bar" }, element("span", {}, name), bar, words));
  return (part, text) => {
    bar.value = part;
    say(words, text);
  };
}

// A sign of a comparison: whether all is the same, and paragraphs about it.
export function sign(isSame, title, ...paragraphs) {
  return element(
    "div",
    { class: `sign ${isSame ? "same" : "different"}` },
    element("span", { class: "mark-text", "aria-hidden": "true" }, isSame ? "✓" : "✗"),
    element(
      "div",
      {},
      element("strong", {}, title),
      ...paragraphs.map((each) => element("p", {}, ...[each].flat())),
    ),
  );
}

export function button(text, pressed, attributes = {}) {
  return element("button", { type: "button", onclick: pressed, ...attributes }, text);
}

export function say(parent, text) {
  if (parent.textContent !== text) parent.textContent = text;
}
