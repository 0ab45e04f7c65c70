// The builder's page: brings its parts together. The form itself and all that can be done to it is in state.js.

import { openDialog } from "../page.js";
import { Api } from "../rank/api.js";
import { Shelf } from "../rank/storage.js";
import { Canvas } from "./canvas.js";
import { count, el } from "./dom.js";
import { Dragging } from "./drag.js";
import { definitionIn, download } from "./exchange.js";
import { bindKeys } from "./keys.js";
import { buildPalette } from "./palette.js";
import { Preview } from "./preview.js";
import { byComponent, listProblems } from "./problems.js";
import { Properties } from "./properties.js";
import { Publishing } from "./publish.js";
import { Saving } from "./saving.js";
import { FormState } from "./state.js";
import { bindStage } from "./stage.js";
import { Refused } from "./tree.js";

const $ = (id) => document.getElementById(id);
const config = JSON.parse($("build-config").textContent);
const { palette, draft } = config;
const api = new Api("/api/v1/");
const shelf = new Shelf("build", config.user);
const kept = Saving.kept(shelf, config.template.id);

const state = begin();
const sent = new WeakMap(); // definition that was saved → the nodes that it was made of
const saving = new Saving(api, shelf, config.template.id, draft, () => {
  const { definition } = state;
  sent.set(definition, state.root);
  return definition;
});
const canvas = new Canvas(state, palette.comparisons, $("form-tree"), $("form-empty"));
const properties = new Properties(state, palette.comparisons, $("properties"), { say, models });
const preview = new Preview({ form: $("preview-form"), host: $("preview-frames"), note: $("preview-note"), enter: $("preview-enter") });
const publishing = new Publishing(api, config, saving, {
  dialog: $("publish"), changes: $("publish-changes"), answers: $("publish-answers"),
  go: $("publish-go"), note: $("publish-note"), problem: $("publish-problem"),
  summary: $("publish-summary"),
});
const dragging = new Dragging(state, { box: $("form-tree"), scroller: $("form-scroller"), palette: $("palette-list"), drop, refuse: say });
const stage = bindStage();
let told = new Map(); // node id → what is wrong with it
let number = 0;

// The draft: this browser's copy where the server does not have it yet.
function begin() {
  for (const definition of [kept?.definition, draft.definition]) {
    if (!definition) continue;
    try {
      return new FormState(palette, definition, config.names);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      notice("danger", `The draft cannot be shown as a form: ${error.message} Export it from the template's page, mend it, and import it here.`);
    }
  }
  return new FormState(palette, { schema_version: 1, components: [] }, config.names);
}

// Does an act; says why where it cannot be done.
function attempt(act) {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message);
    toast(error.message);
    return undefined;
  }
}

function say(words) {
  $("announcer").textContent = "";
  requestAnimationFrame(() => ($("announcer").textContent = words));
}

let fading = 0;
function toast(words) {
  clearTimeout(fading);
  $("toast").textContent = words;
  $("toast").hidden = false;
  fading = setTimeout(() => ($("toast").hidden = true), 5_000);
}

function notice(kind, words, ...more) {
  const close = el("button", { type: "button", class: "button small quiet", onclick: () => box.remove() }, "Close");
  const box = el("div", { class: `notice ${kind}`, role: kind === "danger" ? "alert" : "status" }, el("p", {}, words), el("div", { class: "notice-actions" }, ...more, close));
  $("build-notices").replaceChildren(box);
}

const acts = {
  add(type, where = null, focus = false) {
    const id = attempt(() => state.add(type, where));
    if (id === undefined) return;
    arrive(id, "Added");
    if (focus) canvas.focus();
    stage.added();
  },
  paste(component) {
    const id = attempt(() => state.place(component));
    if (id !== undefined) arrive(id, "Pasted");
  },
  duplicate: () => attempt(() => state.node && arrive(state.duplicate(state.chosen), "Duplicated")),
  remove() {
    if (!state.node) return;
    const words = state.titleOf(state.node);
    state.remove(state.chosen);
    say(`Deleted ${words}. Ctrl and Z brings it back.`);
    canvas.focus();
  },
  nudge(way) {
    if (!state.node) return;
    const moved = attempt(() => state.nudge(state.chosen, way));
    const stuck = { up: "It is the first already", down: "It is the last already", out: "It is not inside another component", in: "There is no group, columns or tabs beside it" };
    if (moved) say(`Moved to ${state.placeOf(state.chosen)}`);
    else if (moved === false) say(`${stuck[way]}.`);
    if (canvas.hasFocus) canvas.focus();
  },
  undo() {
    const words = state.undo();
    say(words ? `Undone: ${words}` : "There is nothing to undo.");
  },
  redo() {
    const words = state.redo();
    say(words ? `Done again: ${words}` : "There is nothing to do again.");
  },
  rename() {
    stage.show("properties");
    properties.focus(["label"]);
  },
  details() {
    stage.show("properties");
    properties.focus(["label"]);
  },
};

function arrive(id, verb) {
  say(`${verb} ${state.titleOf(state.find(id).node)}, ${state.placeOf(id)}`);
  document.querySelector(`.part[data-id="${id}"] > .part-card`)?.scrollIntoView({ block: "nearest" });
}

function drop(what, where) {
  if (what.type) return acts.add(what.type, where);
  if (attempt(() => state.move(what.id, where))) say(`Moved to ${state.placeOf(what.id)}`);
  else state.choose(what.id);
}

let asked = null;
function models() {
  asked ??= everyModel().catch(() => ((asked = null), []));
  return asked;
}

async function everyModel() {
  const found = [];
  for (let path = "models/"; path && found.length < 500; ) {
    const { status, body } = await api.send("GET", path);
    if (status !== 200) throw new Error(`the models' list answers ${status}`);
    found.push(...body.results);
    path = body.next ? `models/${new URL(body.next, location.href).search}` : "";
  }
  return found;
}

// What is drawn anew when the form, or what is chosen in it, changes.
state.addEventListener("change", ({ detail }) => {
  if (detail === "form") {
    canvas.draw();
    if (!number) preview.show(state.definition);
    saving.change();
    $("undo").disabled = !state.canUndo;
    $("redo").disabled = !state.canRedo;
  } else canvas.mark();
  properties.update();
  showProblems();
  showChosen();
});

function showChosen() {
  const { node } = state;
  $("properties-title").textContent = node ? (state.offers.get(node.data.type)?.title ?? "Unknown component") : "Properties";
  $("part-acts").hidden = !node;
}

function showProblems() {
  const before = number;
  number = listProblems(state, told, { head: $("problems-head"), list: $("problems-list"), go: goTo });
  if (before && !number) say("No problems are left.");
}

function goTo(id, rest) {
  state.choose(id);
  canvas.focus();
  stage.show("properties");
  if (rest.length) properties.focus(rest);
}

// root: the form that they were said of. It may have moved on since; nodes keep their ids.
function problemsOf(root, problems) {
  told = byComponent(root, problems);
  properties.problems = told;
  const marks = new Map([...told].map(([id, messages]) => [id, messages.map((one) => one.message)]));
  if (JSON.stringify([...marks]) !== JSON.stringify([...canvas.problems])) {
    canvas.problems = marks;
    canvas.draw();
  }
  showProblems();
  if (number) preview.hold();
  else preview.show(state.definition);
  publishing.summarise(number);
}

const WORDS = { unsaved: "Saving…", saving: "Saving…", offline: "Offline: kept in this browser", refused: "Not saved" };
function showSaved() {
  const seconds = Math.round((Date.now() - saving.savedAt) / 1000);
  const ago = !saving.savedAt ? "Saved" : seconds < 10 ? "Saved just now" : seconds < 90 ? "Saved a minute ago" : `Saved ${count(Math.round(seconds / 60), "minute")} ago`;
  $("saved").textContent = saving.state === "saved" ? ago : WORDS[saving.state];
  $("saved").dataset.state = saving.state;
  $("saved").title = saving.state === "refused" ? saving.why : "";
}
setInterval(showSaved, 15_000);

const stay = (event) => event.preventDefault();
saving.addEventListener("change", () => {
  showSaved();
  if (saving.isSaved) removeEventListener("beforeunload", stay);
  else addEventListener("beforeunload", stay);
  if (saving.state === "refused") notice("danger", `Not saved: ${saving.why} What you did is kept in this browser.`);
});
saving.addEventListener("problems", ({ detail }) => problemsOf(sent.get(detail.definition), detail.problems));
saving.addEventListener("stale", () => {
  const { updated_by: who } = saving.newer;
  $("stale-who").textContent = who ? `${who} saved it, on this or another device.` : "It was saved in another tab or on another device.";
  openDialog($("stale"));
});
$("stale").addEventListener("cancel", (event) => event.preventDefault());
$("stale-theirs").addEventListener("click", () => {
  const theirs = saving.newer.definition;
  attempt(() => state.replace(theirs, "Took the newer draft"));
  saving.decide(false);
  $("stale").close();
  say("The newer draft is here. Ctrl and Z brings yours back.");
});
$("stale-mine").addEventListener("click", () => {
  saving.decide(true);
  $("stale").close();
  say("Your form is kept and saved over the newer draft.");
});

$("undo").addEventListener("click", acts.undo);
$("redo").addEventListener("click", acts.redo);
$("part-acts").addEventListener("click", (event) => {
  const act = event.target.closest("button")?.dataset.act;
  if (["up", "down", "out", "in"].includes(act)) acts.nudge(act);
  else if (act) acts[act]();
});
$("json-menu").addEventListener("click", (event) => event.target.closest("button") && ($("json-menu").open = false));
$("export-json").addEventListener("click", () => download(state.definition, config.template.name));
$("import-file").addEventListener("change", async () => {
  const [file] = $("import-file").files;
  if (file) $("import-text").value = await file.text();
});
$("import-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const problem = $("import-problem");
  problem.hidden = true;
  try {
    state.replace(definitionIn($("import-text").value, palette.limits.bytes));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problem.textContent = error.message;
    problem.hidden = false;
    return;
  }
  $("import").close();
  $("import-form").reset();
  say(`Imported a form of ${count(state.all.length, "component")}. Ctrl and Z brings the one before back.`);
  toast("Imported. Undo brings the form before back.");
});
$("publish-open").addEventListener("click", () => publishing.open(() => number));
publishing.done = (version) => {
  config.published = version.number;
  $("publish-number").textContent = version.number + 1;
  $("draft-number").textContent = version.number + 1;
  state.publishedAs(version.definition);
  publishing.summarise(number);
  const link = el("a", { class: "button small", href: config.urls.template }, "Look at its versions");
  notice("good", `Version ${version.number} is published. Projects that use an earlier one stay with it until they are moved.`, link);
  say(`Version ${version.number} is published.`);
};

buildPalette(palette, { list: $("palette-list"), filter: $("palette-filter"), none: $("palette-none"), add: (type) => acts.add(type) });
bindKeys({ state, canvas, acts, dragging, say, inTree: () => canvas.hasFocus, leave: () => canvas.focus() });
canvas.draw();
properties.update();
showChosen();
showSaved();
problemsOf(state.root, kept ? [] : draft.problems);
if (kept && kept.version === draft.version) {
  saving.change();
  toast("What was not saved yet is here again.");
} else if (kept) {
  saving.meet({ definition: draft.definition, version: draft.version, updated_by: draft.updated_by });
}
document.documentElement.dataset.ready = "";
