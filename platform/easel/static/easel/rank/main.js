// The ranking page: leases items ahead, shows one, and hands what is submitted to the outbox. What the keys do stands in
// keys.js; placing images in judging.js; how images are asked for in a live form, in live.js.

import { Form } from "../form/form.js";
import { openDialog } from "../page.js";
import { Api, Unreachable } from "./api.js";
import { Blur } from "./blur.js";
import { Day } from "./day.js";
import { Judging } from "./judging.js";
import { Keymap } from "./keymap.js";
import { listen } from "./keys.js";
import { Last } from "./last.js";
import { Leases } from "./leases.js";
import { Outbox } from "./outbox.js";
import { watch } from "./presence.js";
import { Session } from "./session.js";
import { Shelf } from "./storage.js";
import { Tiles } from "./tiles.js";
import * as training from "./training.js";
import { announce, clearNotices, notify, restart, state, tellSaved } from "./words.js";
import { Work } from "./work.js";
import { Zoom } from "./zoom.js";

const SETTLE_MS = 350; // a second click or Enter within this time of a new item was meant for the last one
const KEEP_DRAFTS_DAYS = 14;
const NOTHING = { answers: {}, candidates: [], pictures: new Map(), item: { prompt: { text: "", negative: "" } } };

const config = JSON.parse(document.getElementById("rank-config").textContent);
const profile = config.profile ?? {};
const user = config.sample ? "preview" : (document.querySelector("meta[name=easel-user]")?.content ?? "");
const $ = (id) => document.getElementById(id);
const one = (selector) => document.querySelector(selector);

const { Rehearsal } = config.sample ? await import("./rehearsal.js") : {}; // what few pages need, those alone fetch
const api = config.sample ? new Rehearsal(config.sample) : new Api(config.api);
const drafts = new Shelf("draft", user);
const refused = new Shelf("refused", user);
const outbox = new Outbox(api, new Shelf("outbox", user), (entry) => (entry.project === config.project ? leases.held : []));
drafts.sweep(KEEP_DRAFTS_DAYS);

const root = $("item");
const form = await Form.of(root, JSON.parse($("definition").textContent));
const keymap = new Keymap(profile.keys);
keymap.label(document);
if (profile.text_direction !== "auto") for (const text of root.querySelectorAll("textarea, input")) text.dir = profile.text_direction ?? "auto";

let current = null; // the Work that is shown
let judged = null; // the Work of the training whose answer is awaited or explained: no other is shown until then
const sent = new Map(); // Works whose answers the server does not have yet
const finished = new Set(); // ids that are not shown again
let shownAt = 0;

const blur = new Blur(profile.blur ?? true, announce);
const parts = { current: () => current, changed, hides: (id) => blur.hides(id), tiles: null, zoom: null };
const judging = new Judging(root, form, parts);
const grid = one("[data-type=image_grid], [data-type=image]");
const tiles = grid
  ? new Tiles(grid, $("tile-part"), {
      press: (id, shift) => judging.press(id, shift),
      lift: (event, id) => judging.lift(event, id),
      zoom: (id) => enlarge(id),
      look,
      moved: aim,
    })
  : null;
const zoom = new Zoom($("zoom"), {
  placeOf: (id) => judging.judge?.standing(id).place ?? 0,
  current: () => tiles?.current ?? null,
  hides: (id) => blur.hides(id),
  look,
});
Object.assign(parts, { tiles, zoom });
const { Live } = form.generate ? await import("./live.js") : {};
const live = form.generate
  ? new Live({ api, form, tiles, project: config.project, version: config.template_version, shelf: new Shelf("live", user), sample: config.sample, show: take, release, blank, announce, notify })
  : null;
const leases = new Leases({
  api,
  project: config.project,
  outbox,
  live,
  page: { current: () => current, busy: () => Boolean(current || judged), done: (id) => finished.has(id), workOf, show },
});
const day = new Day(api, config.project, config.progress, live);
const session = new Session(new Shelf("session", user), profile, () => {
  current?.clock.pause();
  current?.draft.save();
});
const last = new Last({ api, outbox, shelf: new Shelf("last", user), project: config.project, bring });

// --- Items: leased ahead, shown, submitted, skipped -----------------------------------------------------------------------

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
  judging.mark();
}

function workOf(assignment, pictures) {
  const work = new Work(assignment, api, drafts, pictures);
  work.draft.addEventListener("change", () => work === current && showSaved());
  work.draft.addEventListener("stale", () => work === current && askAboutNewer());
  work.draft.addEventListener("finished", (event) => {
    if (work.retaken) reopen(work);
    else if (work === current) overtaken(work, event.detail);
  });
  return work;
}

function show(work, before = "") {
  // An item keeps the version of the form that it was made for: another version is another page.
  if (work.version !== config.template_version) return location.assign(`?version=${work.version}`);
  current = work;
  shownAt = performance.now();
  state("item");
  root.classList.remove("is-blank");
  training.tell(work);
  blur.show(work);
  form.show(work.answers, work);
  tiles?.show(work);
  judging.mark();
  showSaved();
  $("submit").disabled = $("skip").disabled = false;
  one(".answers")?.removeAttribute("inert");
  judging.choose();
  restart(root, "is-new");
  // Whoever is writing meanwhile goes on writing: letters must not become a ranking.
  const writing = live && root.contains(document.activeElement) && document.activeElement.matches("textarea, input, select");
  const shownBeside = config.sample && !document.hasFocus(); // in the builder's frame
  if (!one("dialog[open]") && !writing && !shownBeside) focusTile();
  if (!live) scrollTo(0, 0);
  if (!live && !config.sample) announce(`${before}${describe(work)}`);
  if (!document.hidden) work.clock.touch();
  if (work.draft.newer) askAboutNewer();
}

// The item in words, for those who do not see it.
function describe(work) {
  const { prompt, sensitive } = work.item;
  const count = work.candidates.length;
  const images = count ? ` ${count} ${count === 1 ? "image" : "images"}${sensitive && blur.hides(work.candidates[0].id) ? ", blurred" : ""}.` : "";
  return `${training.said(work)}${prompt.text.replace(/[.!?]?$/, ".")}${images}`;
}

// A form without an item: before the first images of a live form, and between two prompts.
function blank() {
  current = null;
  state("item");
  root.classList.add("is-blank");
  form.show({}, NOTHING);
  tiles?.show(NOTHING);
  training.tell(null);
  judging.mark();
  showSaved();
  $("submit").disabled = $("skip").disabled = true;
}

function advance(startedAt, before = "") {
  const next = leases.next();
  current = null;
  if (live) live.next();
  else if (next) {
    show(next, before);
    requestAnimationFrame(() => {
      const channel = new MessageChannel(); // a message after the frame comes when it is painted
      channel.port1.onmessage = () => performance.measure("easel.next", { start: startedAt, end: performance.now() });
      channel.port2.postMessage(null);
    });
  } else state(leases.state);
}

function complaint() {
  const [field] = form.fields;
  let first = form.check();
  if (!first && field && !Object.keys(form.read()).length) {
    field.complain(`Nothing is answered yet. Start with “${field.label}”, or skip this item.`);
    first = field;
  }
  if (first) {
    if (first.judges) judging.judge = first; // its keys are the ones that mend it
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
  const ms = current.clock.ms;
  if (!config.sample) last.keep(current);
  leave("annotation", { answers: current.answers, active_ms: ms }, startedAt);
  day.count(1);
  session.submitted(ms);
}

// Hand the current item to the outbox and show the next one at once; in training, what was right comes first.
function leave(kind, body, startedAt) {
  const work = current;
  work.clock.pause();
  work.draft.stop();
  sent.set(work.id, work);
  finished.add(work.id);
  clearNotices();
  if (work.training && kind === "annotation") {
    current = null;
    judged = work;
    training.checking(work);
  } else advance(startedAt, kind === "skip" ? "Skipped. " : "Submitted. ");
  day.count(0, 1);
  outbox.add({ assignment: work.id, project: config.project, kind, body, at: Date.now() });
}

outbox.addEventListener("answer", async ({ detail: { entry, status, body } }) => {
  const work = sent.get(entry.assignment);
  if (status === 400 || status === 413) return recall(entry, work, body);
  if (status === 409 && work?.retaken && entry.kind === "annotation" && (await reopen(work))) return outbox.add(entry);
  sent.delete(entry.assignment);
  work?.draft.forget();
  drafts.delete(entry.assignment);
  if (status === 409) {
    if (entry.kind === "annotation") notify("", body?.detail ?? "This item was submitted before, from another tab. That one counts; nothing was stored twice.");
  } else if (status > 299) {
    refused.set(entry.assignment, { ...entry, status, detail: body?.detail ?? "" });
    notify("danger", `An answer could not be stored: ${body?.detail ?? `error ${status}`} It is kept in this browser under “easel.refused”.`);
  }
  day.refresh(outbox);
  if (entry.project !== config.project) return;
  if (status < 300 && body && "next" in body) leases.receive(body.next, body.blocked);
  if (work && work === judged) await explain(work, body?.feedback);
  leases.more();
});

// What was right, until the person goes on.
async function explain(work, feedback) {
  if (feedback) {
    last.forget(); // whoever knows the answer does not answer again
    await training.feedback(work, feedback);
  }
  judged = null;
  if (!current) advance(performance.now());
}

// The item that is shown makes room for one that comes back.
function setAside() {
  judged = null;
  if (!current) return;
  if (live) return release();
  current.answers = form.read();
  current.clock.pause();
  leases.putBack(current);
}

// The server refused the answers: show the item again, with what was entered and with what is wrong.
function recall(entry, work, body) {
  const problems = Object.entries(body?.fields ?? {});
  finished.delete(entry.assignment);
  sent.delete(entry.assignment);
  last.forget();
  if (!work) {
    notify("warning", `An answer was not accepted: ${body?.detail ?? "it breaks a rule of the form."} The item comes back to be answered again.`);
    return leases.poll(0);
  }
  setAside();
  if (entry.kind === "annotation") session.retracted();
  day.count(entry.kind === "annotation" ? -1 : 0, -1);
  show(work);
  work.draft.resume();
  for (const [name, messages] of problems) {
    const field = form.of(name);
    field?.complain(`“${field.label}” ${messages.join(" ")}.`.replace(/\.\.$/, "."));
    if (field) form.reveal(field);
  }
  notify("warning", `This item was not accepted yet. ${problems.length ? "See what is marked below, then submit it again." : (body?.detail ?? "")}`);
}

// The last submission is taken back: show its item again with its answers. assignment: as the server let it go; entry: as it was
// taken out of the outbox (then the server may have got it all the same, and has to let it go before it takes another answer).
function bring(before, assignment, entry) {
  const id = before?.id ?? assignment.id;
  finished.delete(id);
  sent.delete(id);
  clearNotices();
  const work = assignment ? workOf(assignment, before?.pictures) : before;
  if (entry) {
    work.retaken = true;
    work.answers = entry.body.answers;
  }
  setAside();
  session.retracted();
  day.count(-1, -1);
  show(work, "Taken back. ");
  if (entry) work.draft.resume();
}

// Ask the server to let an assignment go that was taken out of the outbox, but had arrived.
async function reopen(work) {
  try {
    const { status, body } = await api.send("POST", `assignments/${work.id}/reopen/`);
    if (status === 200) work.draft.restart(body.draft?.version ?? 0);
    return status === 200;
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    return false;
  }
}

// Another tab or device submitted or skipped the item that is shown here.
function overtaken(work, detail) {
  finished.add(work.id);
  work.draft.forget();
  advance(performance.now());
  notify("", `${detail || "The last item was submitted or skipped in another tab."} Here is the next one.`);
  leases.poll(0);
}

// --- Drafts -----------------------------------------------------------------------------------------------------------------

function changed() {
  form.refresh();
  judging.choose();
  if (!current) return;
  current.answers = form.read();
  current.draft.change();
}

function showSaved() {
  tellSaved(current?.draft);
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
    judging.mark();
    showSaved();
  }
  announce(mine ? "Your draft is kept." : "The newer draft is shown.");
  focusTile();
}

// --- Keys and buttons -------------------------------------------------------------------------------------------------------

function aim() {
  judging.aim();
  live?.aim();
}

function enlarge(id, flip = false) {
  if (!current || !tiles?.current) return;
  zoom.show(current, { current: id ?? tiles.current.id, flip, pixelated: tiles.isPixelated(innerHeight / 2) });
}

// Show a blurred image: the one that is named, or the one that keys are at.
function look(id = (zoom.open && zoom.shown) || tiles?.current?.id) {
  if (blur.look(id)) judging.mark();
}

function lookAll() {
  if (blur.lookAll()) judging.mark();
}

function openSkip() {
  if (current) openDialog($("skip-dialog"));
}

function focusTile() {
  if (live?.wantsWords) live.focus();
  else if (!tiles) form.fields[0]?.focus();
  else if (matchMedia("(hover: none) and (pointer: coarse)").matches) document.activeElement?.blur();
  else tiles.focus();
}

listen({
  form,
  tiles,
  zoom,
  live,
  keymap,
  get current() {
    return current;
  },
  get canJudge() {
    return Boolean(current && judging.judge);
  },
  press: (id, shift) => judging.press(id, shift),
  give: (id, place) => judging.give(id, place),
  undo: (verb) => judging.undo(verb),
  undoSubmission: () => last.undo(),
  submit,
  enlarge,
  look,
  lookAll,
  focusTile,
  openSkip,
});

// A click on these leaves the focus on the image, so that keys and mouse mix (Enter submits, it does not press Undo again).
for (const part of root.querySelectorAll(".actions button, .tile-zoom, .slot-number, .look")) {
  part.addEventListener("mousedown", (event) => event.preventDefault());
}
$("undo").addEventListener("click", () => judging.undo("undo"));
$("redo").addEventListener("click", () => judging.undo("redo"));
$("skip").addEventListener("click", openSkip);
$("look-all").addEventListener("click", lookAll);
for (const button of document.querySelectorAll("[data-undo-submission]")) button.addEventListener("click", () => last.undo());
$("skip-dialog").addEventListener("click", (event) => {
  const reason = event.target.closest("[data-reason]")?.dataset.reason;
  if (!reason || !current) return;
  $("skip-dialog").close();
  leave("skip", { reason }, performance.now());
});
$("take-newer").addEventListener("click", () => decide(false));
$("keep-mine").addEventListener("click", () => decide(true));
$("stale-dialog").addEventListener("cancel", (event) => event.preventDefault());
$("retry").addEventListener("click", () => {
  state("loading");
  leases.lease();
});
root.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", () => current && focusTile());
document.addEventListener("easel-dismissed", () => current && focusTile());

outbox.addEventListener("change", () => {
  const waiting = outbox.size;
  if (outbox.trouble === "offline") leases.unsteady();
  const words = {
    offline: `Offline, ${waiting} waiting to send`,
    server: `The server does not answer, ${waiting} waiting to send`,
    "signed-out": `You are signed out, ${waiting} waiting to send. Sign in in another tab and they go out.`,
  }[outbox.trouble];
  $("sending").hidden = !waiting || !words;
  $("sending").textContent = waiting && words ? words : "";
  if (judged && waiting && words) $("checking-words").textContent = `${words}. What is right is shown as soon as it is sent.`;
  if (!current && !judged && outbox.trouble === "offline") state("offline");
});

// --- Time -------------------------------------------------------------------------------------------------------------------

watch(
  {
    touch() {
      session.touch();
      if (!session.resting) current?.clock.touch();
    },
    hide() {
      current?.clock.pause();
      current?.draft.save({ keepalive: true });
    },
    back() {
      outbox.flush();
      if (leases.short) leases.poll(0);
    },
    beat: () => leases.beat(),
    leave: () => current?.draft.save({ keepalive: true }),
  },
  config.lease_heartbeat_s,
);
addEventListener("online", () => leases.poll(0));
setInterval(showSaved, 1000);

// --- Start ------------------------------------------------------------------------------------------------------------------

if (config.generating) $("generating").textContent = ` ${config.generating} images are being generated.`;
day.show();
outbox.flush();
// In a live project items may wait that were made for an earlier form: they are ranked first, on its own page.
if (live && config.progress.left) leases.lease({ waiting: true }).then(() => current || live.start());
else if (live) live.start();
else leases.lease();
