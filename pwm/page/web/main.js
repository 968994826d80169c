// Starts the page.

import { byId, say } from "./dom.js";
import { Laws } from "./law_of.js";
import { Look } from "./look.js";
import { bytesOf, Runs } from "./runs.js";
import { Scatter } from "./scatter.js";
import { Settings } from "./selection.js";

const read = (id) => byId(id).textContent;
const runs = new Runs(JSON.parse(read("index")), bytesOf(read("columns")));
const settings = new Settings(runs);
say(byId("total"), runs.total.toLocaleString("en-GB"));
const checked = (run) => console.log(run);
new Look(runs, settings, new Laws(runs, settings), checked);
new Scatter(runs, checked);

// Links to parts of the page, which must not replace the link to what is shown.
for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const part = document.querySelector(link.getAttribute("href"));
    part.scrollIntoView();
    part.focus({ preventScroll: true });
  });
}
