// Starts the page. `loadEngine` comes from the engine's own script.

import { Audit } from "./audit.js";
import { Check } from "./check.js";
import { byId, setText } from "./dom.js";
import { Look } from "./look.js";
import { Laws } from "./predictions.js";
import { bytesOf, Runs } from "./runs.js";
import { Scatter } from "./scatter.js";
import { Settings } from "./selection.js";
import { Train } from "./train.js";
import { wholeNumber } from "./words.js";

function goTo(section) {
  section.scrollIntoView();
  section.focus({ preventScroll: true });
}

async function start() {
  const read = (id) => byId(id).textContent;
  const runs = new Runs(JSON.parse(read("index")), bytesOf(read("columns")));
  const settings = new Settings(runs);
  setText(byId("total"), wholeNumber(runs.total));
  let check = null;
  const trainAgain = (run) => {
    if (!check) return;
    check.choose(run);
    goTo(byId("check"));
  };
  new Look(runs, settings, new Laws(runs, settings), trainAgain);
  new Scatter(runs, trainAgain);
  // Links to sections of the page, which must not replace the link to what is shown.
  for (const link of document.querySelectorAll("nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      goTo(document.querySelector(link.getAttribute("href")));
    });
  }
  try {
    const bytes = bytesOf(read("module"));
    const engine = await loadEngine(bytes);
    new Train(runs, engine, bytes);
    check = new Check(runs, engine, bytes);
    new Audit(runs, check.trainable, bytes);
  } catch (error) {
    for (const id of ["train-error", "audit-error"])
      setText(byId(id), `Nothing can be trained here: ${error.message}`);
  }
  document.body.dataset.ready = "true";
}

start();
