// The ranking page: leases items ahead, shows one, takes the keys, and hands what is submitted to the outbox.

import { openDialog } from "../page.js";
import { Api, Unreachable } from "./api.js";
import "./element.js";
import { fieldsOf } from "./fields.js";
import { Outbox } from "./outbox.js";
import { Shelf } from "./storage.js";
import { Tiles } from "./tiles.js";
import { Work } from "./work.js";
import { Zoom } from "./zoom.js";

const POLL_MS = 10_000;
const SETTLE_MS = 350; // a second click or Enter within this time of a new item was meant for the last one
const AWAY_MS = 600_000; // without a sign of life for this long, the lease is let go
const KEEP_DRAFTS_DAYS = 14;
const MOST_HELD = 10; // as many as the API takes
const FIGURES_MS = 20_000; // the day's figures are asked for at most this often

const config = JSON.parse(document.getElementById("rank-config").textContent);
const user = document.querySelector("meta[name=easel-user]")?.content ?? "";
const $ = (id) => document.getElementById(id);
const one = (selector) => document.querySelector(selector);

const api = new Api(config.api);
const drafts = new Shelf("draft", user);
const refused = new Shelf("refused", user);
const outbox = new Outbox(api, new Shelf("outbox", user), (entry) => (entry.project === config.project ? holding() : []));
drafts.sweep(KEEP_DRAFTS_DAYS);

const form = $("item");
const fields = fieldsOf(form);
const rankings = fields.filter((field) => field.type === "ranking").map((field) => field.element);
const ticks = fields.filter((field) => field.type === "all_bad");
let strip = rankings[0] ?? null; // the ranking that keys and tiles work on

let current = null; // the Work that is shown
let queue = []; // Works that are leased and fetched ahead
const sent = new Map(); // Works whose answers the server does not have yet
const finished = new Set(); // ids that are not shown again
let leasing = false;
let exhausted = false;
let shownAt = 0;
let lifeAt = performance.now();
let pollTimer = 0;
let figuresAt = -FIGURES_MS;
const day = { ...config.progress };

const grid = one("[data-type=image_grid]");
const tiles = grid
  ? new Tiles(grid, $("tile-part"), { press, lift: (event, id) => strip?.lift(event, id), zoom: (id) => enlarge(id), moved: aim })
  : null;
const zoom = new Zoom($("zoom"), {
  placeOf: (id) => strip?.ranking.placeOf(id) ?? 0,
  current: () => tiles?.current ?? null,
});

// --- Items: leased ahead, shown, submitted, skipped -----------------------------------------------------------------------

function holding() {
  const waiting = outbox.entries.filter((entry) => entry.project === config.project).map((entry) => entry.assignment);
  return [...new Set([current, ...queue].filter(Boolean).map((work) => work.id).concat(waiting))].slice(0, MOST_HELD);
}

// Ask for an item while fewer than two are here.
async function lease() {
  if (leasing || queue.length || document.hidden) return;
  leasing = true;
  clearTimeout(pollTimer);
  try {
    const { status, body } = await api.send("POST", `projects/${config.project}/assignments/`, { holding: holding() });
    if (status === 201) receive(body);
    else if (status === 204) nothing();
    else problem(status, body);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    if (!current) state("offline");
    poll();
  } finally {
    leasing = false;
  }
  if (current && !queue.length && !exhausted) poll(0);
}

function poll(wait = POLL_MS) {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(lease, wait);
}

function receive(assignment) {
  if (!assignment) return nothing();
  const known = finished.has(assignment.id) || outbox.has(assignment.id) || holding().includes(assignment.id);
  if (known) return poll(1_000);
  exhausted = false;
  const work = new Work(assignment, api, drafts);
  work.draft.addEventListener("change", () => work === current && showSaved());
  work.draft.addEventListener("stale", () => work === current && askAboutNewer());
  work.draft.addEventListener("finished", (event) => work === current && overtaken(work, event.detail));
  if (current) queue.push(work);
  else show(work);
}

function nothing() {
  exhausted = true;
  if (!current) state("nothing");
  poll();
}

function problem(status, body) {
  const signedOut = status === 401;
  $("problem").textContent = signedOut
    ? "You are signed out. Reload the page to sign in again; what you submitted is kept."
    : (body?.detail ?? `The server answered with error ${status}. It is not your doing.`);
  if (!current) state("problem");
  if (status >= 500 || status === 429) poll();
}

function show(work) {
  current = work;
  shownAt = performance.now();
  state("item");
  for (const text of document.querySelectorAll("[data-prompt]")) text.textContent = work.item.prompt.text;
  for (const line of document.querySelectorAll("[data-negative]")) {
    line.hidden = !work.item.prompt.negative;
    line.lastElementChild.textContent = work.item.prompt.negative ?? "";
  }
  for (const field of fields) {
    field.show(work.answers[field.name], work);
    field.complain("");
  }
  tiles?.show(work);
  mark();
  showSaved();
  for (const text of document.querySelectorAll("[data-prompt]")) {
    if (text.scrollHeight > text.clientHeight + 1) text.tabIndex = 0;
    else text.removeAttribute("tabindex");
  }
  restart(form, "is-new");
  scrollTo(0, 0);
  if (!one("dialog[open]")) focusTile();
  if (!document.hidden) work.clock.touch();
  if (work.draft.newer) askAboutNewer();
}

function advance(startedAt) {
  const next = queue.shift();
  current = null;
  if (next) {
    show(next);
    requestAnimationFrame(() => {
      const channel = new MessageChannel(); // a message after the frame comes when it is painted
      channel.port1.onmessage = () => performance.measure("easel.next", { start: startedAt, end: performance.now() });
      channel.port2.postMessage(null);
    });
  } else {
    state(outbox.trouble === "offline" ? "offline" : exhausted && !outbox.size ? "nothing" : "loading");
  }
}

function readAnswers() {
  const answers = {};
  for (const field of fields) {
    const answer = field.read();
    if (answer !== undefined) answers[field.name] = answer;
  }
  return answers;
}

function complaint() {
  const answers = readAnswers();
  let first = null;
  for (const field of fields) {
    const words = field.check(answers, fields);
    field.complain(words);
    if (words) first ??= field;
  }
  const [field] = fields;
  if (!first && field && !Object.keys(answers).length) {
    field.complain(`Nothing is answered yet. Start with “${field.label}”, or skip this item.`);
    first = field;
  }
  if (first) {
    first.focus();
    first.section.scrollIntoView({ block: "nearest" });
  }
  return first !== null;
}

function submit() {
  const startedAt = performance.now();
  if (!current || startedAt - shownAt < SETTLE_MS) return;
  if (current.draft.newer) return askAboutNewer();
  if (complaint()) return;
  current.answers = readAnswers();
  leave("annotation", { answers: current.answers, active_ms: current.clock.ms }, startedAt);
  day.today += 1;
  count();
}

function skip(reason) {
  if (!current) return;
  leave("skip", { reason }, performance.now());
  count();
}

// Hand the current item to the outbox and show the next one at once.
function leave(kind, body, startedAt) {
  const work = current;
  work.clock.pause();
  work.draft.stop();
  sent.set(work.id, work);
  finished.add(work.id);
  clearNotices();
  advance(startedAt);
  if (typeof day.left === "number") day.left = Math.max(day.left - 1, 0);
  outbox.add({ assignment: work.id, project: config.project, kind, body, at: Date.now() });
}

outbox.addEventListener("answer", ({ detail: { entry, status, body } }) => {
  const work = sent.get(entry.assignment);
  if (status === 400 || status === 413) return recall(entry, work, body);
  sent.delete(entry.assignment);
  work?.draft.forget();
  drafts.delete(entry.assignment);
  if (status === 409) {
    if (entry.kind === "annotation") notify("", body?.detail ?? "This item was submitted before, from another tab. That one counts; nothing was stored twice.");
  } else if (status > 299) {
    refused.set(entry.assignment, { ...entry, status, detail: body?.detail ?? "" });
    notify("danger", `An answer could not be stored: ${body?.detail ?? `error ${status}`} It is kept in this browser under “easel.refused”.`);
  }
  count();
  figures();
  if (entry.project !== config.project) return;
  if (status < 300 && body && "next" in body) receive(body.next);
  if (!current || !queue.length) poll(exhausted ? POLL_MS : 0);
});

// The server refused the answers: show the item again, with what was entered and with what is wrong.
function recall(entry, work, body) {
  const problems = Object.entries(body?.fields ?? {});
  finished.delete(entry.assignment);
  sent.delete(entry.assignment);
  if (!work) {
    notify("warning", `An answer was not accepted: ${body?.detail ?? "it breaks a rule of the form."} The item comes back to be answered again.`);
    return poll(0);
  }
  if (current) {
    current.answers = readAnswers();
    current.clock.pause();
    queue.unshift(current);
  }
  day.today -= entry.kind === "annotation" ? 1 : 0;
  if (typeof day.left === "number") day.left += 1;
  show(work);
  work.draft.resume();
  for (const [name, messages] of problems) {
    const field = fields.find((one) => one.name === name);
    field?.complain(`“${field.label}” ${messages.join(" ")}.`.replace(/\.\.$/, "."));
  }
  notify("warning", `This item was not accepted yet. ${problems.length ? "See what is marked below, then submit it again." : (body?.detail ?? "")}`);
  count();
}

// Another tab or device submitted or skipped the item that is shown here.
function overtaken(work, detail) {
  finished.add(work.id);
  work.draft.forget();
  advance(performance.now());
  notify("", `${detail || "The last item was submitted or skipped in another tab."} Here is the next one.`);
  poll(0);
}

// --- Drafts -----------------------------------------------------------------------------------------------------------------

function changed() {
  if (!current) return;
  current.answers = readAnswers();
  current.draft.change();
}

function showSaved() {
  const draft = current?.draft;
  const seconds = Math.round((Date.now() - (draft?.savedAt ?? 0)) / 1000);
  const ago = seconds < 2 ? "just now" : seconds < 90 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
  const words = { unsaved: "Saving…", local: "Kept in this browser", saved: `Saved ${ago}` };
  $("saved").textContent = words[draft?.state] ?? "";
}

function askAboutNewer() {
  openDialog($("stale-dialog"));
}

function decide(mine) {
  $("stale-dialog").close();
  if (!current?.draft.newer) return;
  const newer = current.draft.decide(mine);
  if (!mine) {
    current.answers = newer.answers ?? {};
    for (const field of fields) field.show(current.answers[field.name], current);
    mark();
    showSaved();
  }
  announce(mine ? "Your draft is kept." : "The newer draft is shown.");
  focusTile();
}

// --- Ranking ----------------------------------------------------------------------------------------------------------------

function press(id, tie) {
  if (!strip) return;
  if (!strip.perform(tie ? "tie" : "next", id)) announce(tie && !strip.ranking.ties ? "Ties are off in this form." : `${strip.describe(id)}.`);
}

function give(id, place) {
  if (!strip || !id) return;
  if (place === 0) strip.perform("remove", id);
  else if (place > strip.ranking.size) announce(`There are ${strip.ranking.size} places.`);
  else strip.perform("give", id, place);
}

function undo(verb) {
  const before = strip?.ranking.slots;
  if (!strip?.perform(verb)) return;
  const moved = current.candidates.filter(({ id }) => placeIn(before, id) !== strip.ranking.placeOf(id));
  announce(`${verb === "undo" ? "Undone" : "Redone"}. ${moved.map(({ id }) => strip.describe(id)).join("; ")}.`);
}

function placeIn(slots, id) {
  return slots.findIndex((slot) => slot.includes(id)) + 1;
}

function mark() {
  tiles?.mark(strip?.ranking);
  zoom.refresh();
  $("undo").disabled = !strip?.ranking.canUndo;
  $("redo").disabled = !strip?.ranking.canRedo;
}

function aim() {
  strip?.aim(tiles?.current ?? null);
}

function enlarge(id, flip = false) {
  if (!current || !tiles) return;
  zoom.show(current, { current: id ?? tiles.current.id, flip, pixelated: tiles.isPixelated(innerHeight / 2) });
}

form.addEventListener("easel-change", ({ target, detail }) => {
  strip = target;
  if (detail.id) announce(`${strip.describe(detail.id)}.`);
  fields.find((field) => field.element === target)?.complain("");
  mark();
  changed();
});
form.addEventListener("easel-choose", ({ target, detail }) => {
  strip = target;
  tiles?.choose(detail.id);
});
form.addEventListener("easel-place", ({ target, detail }) => {
  strip = target;
  give(tiles?.current?.id, detail.place);
});
form.addEventListener("input", (event) => {
  fields.find((field) => field.section.contains(event.target))?.complain("");
  changed();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});

// --- Keys -------------------------------------------------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// A Latin letter by what is typed, or by where the key lies on other keyboards.
function letterOf(event) {
  if (/^[a-z]$/i.test(event.key)) return event.key.toUpperCase();
  return /^[\x20-\x7e]$/.test(event.key) ? "" : (/^Key([A-Z])$/.exec(event.code)?.[1] ?? "");
}

function digitOf(event) {
  const found = /^(?:Digit|Numpad)(\d)$/.exec(event.code) ?? /^(\d)$/.exec(event.key);
  return found ? Number(found[1]) : -1;
}

function onKey(event) {
  if (event.defaultPrevented || event.isComposing) return;
  const { target } = event;
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key === "Enter" && !one("dialog[open]")) return act(event, submit);
  if (target.matches("textarea, select, input:not([type=checkbox])")) {
    if (event.key === "Escape") act(event, focusTile);
    return;
  }
  if ($("skip-dialog").open) return skipKey(event);
  if (zoom.open) return zoomKey(event);
  if (one("dialog[open]")) return;
  const letter = letterOf(event);
  if (command && !event.altKey && letter === "Z") return act(event, () => undo(event.shiftKey ? "redo" : "undo"));
  if (command || event.altKey) return;
  if (event.key === "?") return act(event, () => openDialog($("keys")));
  if (!current) return;
  const tile = target.closest(".tile-image");
  const operable = target.matches("button, a, summary, input") && !tile;
  if (event.key === "Enter" || event.key === " ") {
    if (operable && !(event.key === "Enter" && target.matches("input"))) return;
    return act(event, () => event.repeat || (event.key === "Enter" ? submit() : enlarge()));
  }
  if (ARROWS[event.key]) return act(event, () => tiles?.move(...ARROWS[event.key]));
  if (letter === "Z") return act(event, () => undo(event.shiftKey ? "redo" : "undo"));
  if (event.repeat) return;
  const digit = digitOf(event);
  if (digit >= 0 && tiles) return act(event, () => give(tiles.current?.id, digit));
  if (event.key === "Backspace" || event.key === "Delete") return act(event, () => give(tiles?.current?.id, 0));
  const candidate = current.candidates.find((each) => each.letter === letter);
  if (candidate && strip) {
    return act(event, () => {
      tiles?.choose(candidate.id);
      if (!target.matches("input")) focusTile();
      press(candidate.id, event.shiftKey);
    });
  }
  if (event.shiftKey) return;
  const keys = { S: openSkip, X: toggleTick, V: () => enlarge(null, true), C: () => enlarge(null, true), T: writeText };
  if (keys[letter]) act(event, keys[letter]);
}

function act(event, what) {
  event.preventDefault();
  what();
}

function zoomKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" || (event.key === " " && event.target.matches("button") && event.target.matches(":focus-visible"))) return;
  const digit = digitOf(event);
  if (digit > 0 && zoom.shown && event.key !== "+" && event.key !== "=") return act(event, () => give(zoom.shown, digit));
  const candidate = current?.candidates.find((each) => each.letter === letterOf(event));
  if (zoom.key(event, candidate?.id)) event.preventDefault();
}

function skipKey(event) {
  const reasons = document.querySelectorAll("#skip-dialog [data-reason]");
  const reason = reasons[digitOf(event) - 1];
  if (reason && !event.repeat) act(event, () => reason.click());
}

function openSkip() {
  if (current) openDialog($("skip-dialog"));
}

function toggleTick() {
  const [tick] = ticks;
  if (!tick) return;
  tick.toggle();
  tick.complain("");
  announce(`${tick.label}: ${tick.control.checked ? "yes" : "no"}.`);
  changed();
}

function writeText() {
  fields.find((field) => field.type === "textarea")?.focus();
}

function focusTile() {
  if (matchMedia("(hover: none) and (pointer: coarse)").matches) document.activeElement?.blur();
  else tiles?.focus();
}

document.addEventListener("keydown", onKey);
// A released Space presses the focused tile in some browsers, even where its keydown was taken.
document.addEventListener("keyup", (event) => event.key === " " && event.target.closest(".tile-image") && event.preventDefault());

// --- Buttons ----------------------------------------------------------------------------------------------------------------

// A click on these leaves the focus on the image, so that keys and mouse mix (Enter submits, it does not press Undo again).
for (const part of [...form.querySelectorAll(".actions button, .tile-zoom, .slot-number"), ...ticks.map((tick) => tick.section)]) {
  part.addEventListener("mousedown", (event) => event.preventDefault());
}
$("undo").addEventListener("click", () => undo("undo"));
$("redo").addEventListener("click", () => undo("redo"));
$("skip").addEventListener("click", openSkip);
$("skip-dialog").addEventListener("click", (event) => {
  const reason = event.target.closest("[data-reason]")?.dataset.reason;
  if (!reason) return;
  $("skip-dialog").close();
  skip(reason);
});
$("take-newer").addEventListener("click", () => decide(false));
$("keep-mine").addEventListener("click", () => decide(true));
$("stale-dialog").addEventListener("cancel", (event) => event.preventDefault());
$("retry").addEventListener("click", () => {
  state("loading");
  lease();
});
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", () => current && focusTile());

// --- Words on the page ------------------------------------------------------------------------------------------------------

function state(name) {
  $("state").dataset.state = name;
  if (name === "nothing") announce("No images to rank right now. New ones appear here by themselves.");
}

function announce(words) {
  $("announcer").textContent = "";
  requestAnimationFrame(() => ($("announcer").textContent = words));
}

function notify(kind, words) {
  const notice = $("notice-part").content.cloneNode(true).firstElementChild;
  if (kind) notice.classList.add(kind);
  notice.setAttribute("role", kind === "danger" ? "alert" : "status");
  notice.querySelector("p").textContent = words;
  notice.querySelector("[data-dismiss]").addEventListener("click", () => {
    notice.remove();
    focusTile();
  });
  $("notices").append(notice);
}

function clearNotices() {
  for (const notice of [...$("notices").children]) if (!notice.matches(".danger")) notice.remove();
}

function count() {
  const median = typeof day.median_ms === "number" ? `${(day.median_ms / 1000).toFixed(1)} s median` : "";
  const left = typeof day.left === "number" ? `${day.left} left` : "";
  $("day").replaceChildren(
    ...[`${day.today} today`, median, left].filter(Boolean).map((words, index) => {
      const part = document.createElement("span");
      part.textContent = words;
      if (index === 1 && median) part.className = "median";
      return part;
    }),
  );
}

// The server's own figures, once the queue is empty (until then they are behind).
async function figures() {
  if (outbox.size || performance.now() - figuresAt < FIGURES_MS) return;
  figuresAt = performance.now();
  try {
    const { status, body } = await api.send("GET", `projects/${config.project}/progress/`);
    if (status === 200 && !outbox.size) Object.assign(day, body);
    count();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
  }
}

outbox.addEventListener("change", () => {
  const waiting = outbox.size;
  const words = {
    offline: `Offline, ${waiting} waiting to send`,
    server: `The server does not answer, ${waiting} waiting to send`,
    "signed-out": `You are signed out, ${waiting} waiting to send. Sign in in another tab and they go out.`,
  }[outbox.trouble];
  $("sending").hidden = !waiting || !words;
  $("sending").textContent = waiting && words ? words : "";
  if (!current && outbox.trouble === "offline") state("offline");
});

function restart(element, name) {
  element.classList.remove(name);
  void element.offsetWidth; // a new layout: the animation runs again
  element.classList.add(name);
}

// --- Time -------------------------------------------------------------------------------------------------------------------

function life() {
  const now = performance.now();
  const away = now - lifeAt > AWAY_MS;
  lifeAt = now;
  if (!document.hidden) current?.clock.touch();
  if (away) beat();
}

for (const name of ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"]) addEventListener(name, life, { passive: true, capture: true });

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    current?.clock.pause();
    current?.draft.save({ keepalive: true });
  } else {
    life();
    outbox.flush();
    if (!queue.length) poll(0);
  }
});
addEventListener("pagehide", () => current?.draft.save({ keepalive: true }));
addEventListener("pageshow", (event) => event.persisted && beat());
addEventListener("online", () => poll(0));

// Keep the leases while somebody is here.
async function beat() {
  if (performance.now() - lifeAt > AWAY_MS) return;
  for (const work of [current, ...queue].filter(Boolean)) {
    try {
      const { status, body } = await api.send("PUT", `assignments/${work.id}/heartbeat/`);
      if (status === 409 && body?.code === "lease_lost") lost(work, body.detail);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
  }
}

function lost(work, detail) {
  if (work !== current) {
    queue = queue.filter((other) => other !== work);
    poll(0);
  } else if (!work.lost) {
    work.lost = true;
    notify("warning", detail);
  }
}

setInterval(beat, config.lease_heartbeat_s * 1000);
setInterval(showSaved, 1000);

// --- Start ------------------------------------------------------------------------------------------------------------------

if (config.generating) $("generating").textContent = ` ${config.generating} images are being generated.`;
count();
outbox.flush();
lease();
