// The ranking page: leases items ahead, shows one, and hands what is submitted to the outbox. What the keys do stands in
// keys.js; how images are asked for in a live form, in live.js.

import { Form } from "../form/form.js";
import { openDialog } from "../page.js";
import { Api, Unreachable } from "./api.js";
import { listen } from "./keys.js";
import { Live } from "./live.js";
import { Outbox } from "./outbox.js";
import { Rehearsal } from "./rehearsal.js";
import { Shelf } from "./storage.js";
import { Tiles } from "./tiles.js";
import { Work } from "./work.js";
import { Zoom } from "./zoom.js";

const POLL_MS = 10_000;
const SETTLE_MS = 350; // a second click or Enter within this time of a new item was meant for the last one
const AWAY_MS = 600_000; // without a sign of life for this long, the lease is let go
const KEEP_DRAFTS_DAYS = 14;
const MOST_HELD = 10; // as many as the API takes
const NOTHING = { answers: {}, candidates: [], pictures: new Map(), item: { prompt: { text: "", negative: "" } } };
const FIGURES_MS = 20_000; // the day's figures are asked for at most this often

const config = JSON.parse(document.getElementById("rank-config").textContent);
const user = config.sample ? "preview" : (document.querySelector("meta[name=easel-user]")?.content ?? "");
const $ = (id) => document.getElementById(id);
const one = (selector) => document.querySelector(selector);

const api = config.sample ? new Rehearsal(config.sample) : new Api(config.api);
const drafts = new Shelf("draft", user);
const refused = new Shelf("refused", user);
const outbox = new Outbox(api, new Shelf("outbox", user), (entry) => (entry.project === config.project ? holding() : []));
drafts.sweep(KEEP_DRAFTS_DAYS);

const root = $("item");
const form = await Form.of(root, JSON.parse($("definition").textContent));
let judge = form.judges[0] ?? null; // the field that letters, digits and tiles work on

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

const grid = one("[data-type=image_grid], [data-type=image]");
const tiles = grid
  ? new Tiles(grid, $("tile-part"), { press, lift: (event, id) => current && judge?.lift?.(event, id), zoom: (id) => enlarge(id), moved: aim })
  : null;
const zoom = new Zoom($("zoom"), {
  placeOf: (id) => judge?.standing(id).place ?? 0,
  current: () => tiles?.current ?? null,
});
const live = form.generate
  ? new Live({ api, form, tiles, project: config.project, version: config.template_version, shelf: new Shelf("live", user), sample: config.sample, show: take, release, blank, announce, notify })
  : null;

// --- Items: leased ahead, shown, submitted, skipped -----------------------------------------------------------------------

function holding() {
  const waiting = outbox.entries.filter((entry) => entry.project === config.project).map((entry) => entry.assignment);
  return [...new Set([current, ...queue].filter(Boolean).map((work) => work.id).concat(waiting))].slice(0, MOST_HELD);
}

// Ask for an item while fewer than two are here.
async function lease({ waiting = false } = {}) {
  if ((live && !waiting) || leasing || queue.length || document.hidden) return;
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
  if (live) return; // what there is to do, the annotator asks for
  clearTimeout(pollTimer);
  pollTimer = setTimeout(lease, wait);
}

function receive(assignment) {
  if (!assignment) return live ? undefined : nothing();
  const known = finished.has(assignment.id) || outbox.has(assignment.id) || holding().includes(assignment.id);
  if (known) return poll(1_000);
  exhausted = false;
  const work = workOf(assignment);
  if (current) queue.push(work);
  else show(work);
}

// The images of an attempt are all there: its assignment takes the page.
function take(assignment, pictures) {
  if (finished.has(assignment.id) || outbox.has(assignment.id)) return;
  release();
  show(workOf(assignment, pictures));
}

// Other images come in place of the item that is shown: what was entered for it is kept as its draft.
function release() {
  current?.clock.pause();
  current?.draft.save();
  if (current) form.show({}, NOTHING);
  current = null;
  $("submit").disabled = $("skip").disabled = true;
  root.classList.remove("is-blank");
  one(".answers")?.setAttribute("inert", "");
  mark();
}

function workOf(assignment, pictures) {
  const work = new Work(assignment, api, drafts, pictures);
  work.draft.addEventListener("change", () => work === current && showSaved());
  work.draft.addEventListener("stale", () => work === current && askAboutNewer());
  work.draft.addEventListener("finished", (event) => work === current && overtaken(work, event.detail));
  return work;
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
  // An item keeps the version of the form that it was made for: another version is another page.
  if (work.version !== config.template_version) return location.assign(`?version=${work.version}`);
  current = work;
  shownAt = performance.now();
  state("item");
  root.classList.remove("is-blank");
  form.show(work.answers, work);
  tiles?.show(work);
  mark();
  showSaved();
  $("submit").disabled = $("skip").disabled = false;
  one(".answers")?.removeAttribute("inert");
  chooseJudge();
  restart(root, "is-new");
  // Whoever is writing meanwhile goes on writing: letters must not become a ranking.
  const writing = live && root.contains(document.activeElement) && document.activeElement.matches("textarea, input, select");
  const shownBeside = config.sample && !document.hasFocus(); // in the builder's frame
  if (!one("dialog[open]") && !writing && !shownBeside) focusTile();
  if (!live) scrollTo(0, 0);
  if (!document.hidden) work.clock.touch();
  if (work.draft.newer) askAboutNewer();
}

// A form without an item: before the first images of a live form, and between two prompts.
function blank() {
  current = null;
  state("item");
  root.classList.add("is-blank");
  form.show({}, NOTHING);
  tiles?.show(NOTHING);
  mark();
  showSaved();
  $("submit").disabled = $("skip").disabled = true;
}

function advance(startedAt) {
  const next = queue.shift();
  current = null;
  if (live) live.next();
  else if (next) {
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

function complaint() {
  const [field] = form.fields;
  let first = form.check();
  if (!first && field && !Object.keys(form.read()).length) {
    field.complain(`Nothing is answered yet. Start with “${field.label}”, or skip this item.`);
    first = field;
  }
  if (first) {
    if (first.judges) judge = first; // its keys are the ones that mend it
    form.reveal(first);
    first.focus();
  }
  return first !== null;
}

function submit() {
  const startedAt = performance.now();
  if (!current) return live ? live.hint() : undefined;
  if (startedAt - shownAt < SETTLE_MS) return;
  if (current.draft.newer) return askAboutNewer();
  if (complaint()) return;
  current.answers = form.read();
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
    current.answers = form.read();
    current.clock.pause();
    queue.unshift(current);
  }
  day.today -= entry.kind === "annotation" ? 1 : 0;
  if (typeof day.left === "number") day.left += 1;
  show(work);
  work.draft.resume();
  for (const [name, messages] of problems) {
    const field = form.of(name);
    field?.complain(`“${field.label}” ${messages.join(" ")}.`.replace(/\.\.$/, "."));
    if (field) form.reveal(field);
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
  form.refresh();
  chooseJudge();
  if (!current) return;
  current.answers = form.read();
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
    form.show(current.answers, current);
    mark();
    showSaved();
  }
  announce(mine ? "Your draft is kept." : "The newer draft is shown.");
  focusTile();
}

// The field that letters work on: the one that was used last, while it is in view.
function chooseJudge(wanted = judge) {
  const inView = (field) => field && !field.section.closest(".is-hidden");
  const before = judge;
  judge = inView(wanted) ? wanted : (form.judges.find(inView) ?? null);
  if (judge !== before) mark();
}

for (const name of ["pointerdown", "focusin"]) {
  root.addEventListener(name, ({ target }) => {
    const field = form.judges.find(({ section }) => section.contains(target));
    if (field) chooseJudge(field);
  });
}

// --- Placing images ---------------------------------------------------------------------------------------------------------

function press(id, shift) {
  if (!current || !judge) return;
  const words = judge.press(id, shift);
  if (words) announce(words);
}

function give(id, place) {
  if (!current || !judge || !id) return;
  const words = judge.give(id, place);
  if (words) announce(words);
}

function undo(verb) {
  const words = current && judge?.[verb]();
  if (words) announce(words);
}

function mark() {
  tiles?.mark(current && judge);
  zoom.refresh();
  $("undo").disabled = !current || !judge?.canUndo;
  $("redo").disabled = !current || !judge?.canRedo;
}

function aim() {
  for (const part of form.parts) part.aim(tiles?.current ?? null);
  live?.aim();
}

function enlarge(id, flip = false) {
  if (!current || !tiles?.current) return;
  zoom.show(current, { current: id ?? tiles.current.id, flip, pixelated: tiles.isPixelated(innerHeight / 2) });
}

function takeUp(target, words) {
  judge = form.holding(target) ?? judge;
  judge?.complain("");
  if (words) announce(words);
  mark();
  changed();
}

root.addEventListener("easel-change", ({ target, detail }) => takeUp(target, detail.id ? `${target.describe(detail.id)}.` : ""));
root.addEventListener("easel-judge", ({ target, detail }) => takeUp(target, detail.words && `${detail.words}.`));
root.addEventListener("easel-answer", ({ target, detail }) => {
  form.holding(target)?.complain("");
  if (detail.words) announce(detail.words);
  changed();
});
root.addEventListener("easel-choose", ({ target, detail }) => {
  judge = form.holding(target) ?? judge;
  tiles?.choose(detail.id);
});
root.addEventListener("easel-place", ({ target, detail }) => {
  judge = form.holding(target) ?? judge;
  give(tiles?.current?.id, detail.place);
});
root.addEventListener("input", (event) => {
  form.holding(event.target)?.complain("");
  changed();
});
root.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});

// --- Keys -------------------------------------------------------------------------------------------------------------------

listen({
  form,
  tiles,
  zoom,
  live,
  get current() {
    return current;
  },
  get canJudge() {
    return Boolean(current && judge);
  },
  press,
  give,
  undo,
  submit,
  enlarge,
  focusTile,
  openSkip,
});

function openSkip() {
  if (current) openDialog($("skip-dialog"));
}

function focusTile() {
  if (live?.wantsWords) live.focus();
  else if (!tiles) form.fields[0]?.focus();
  else if (matchMedia("(hover: none) and (pointer: coarse)").matches) document.activeElement?.blur();
  else tiles.focus();
}

// --- Buttons ----------------------------------------------------------------------------------------------------------------

// A click on these leaves the focus on the image, so that keys and mouse mix (Enter submits, it does not press Undo again).
for (const part of root.querySelectorAll(".actions button, .tile-zoom, .slot-number")) {
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
  const left = !live && typeof day.left === "number" ? `${day.left} left` : "";
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
// In a live project items may wait that were made for an earlier form: they are ranked first, on its own page.
if (live && config.progress.left) lease({ waiting: true }).then(() => current || live.start());
else if (live) live.start();
else lease();
