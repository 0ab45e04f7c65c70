// Answering an item in somebody's place: the form that annotators get, filled with what was answered, saved by the API.

import { Form } from "../form/form.js";
import { Api, Unreachable } from "../rank/api.js";
import { Judging } from "../rank/judging.js";
import { Keymap } from "../rank/keymap.js";
import { listen } from "../rank/keys.js";
import { Tiles } from "../rank/tiles.js";
import { announce, clearNotices, notify } from "../rank/words.js";
import { Picture } from "../rank/work.js";
import { Zoom } from "../rank/zoom.js";

const $ = (id) => document.getElementById(id);
const config = JSON.parse($("fix-config").textContent);
const api = new Api(config.api);
const root = $("item");
const form = await Form.of(root, JSON.parse($("definition").textContent));
const keymap = new Keymap(config.profile.keys);
keymap.label(document);

const candidates = config.item.candidates.map((one, at) => ({ ...one, letter: String.fromCharCode(65 + at) }));
const work = { item: config.item, candidates, pictures: new Map(candidates.map((one) => [one.id, new Picture(one)])) };
let sending = false;

const parts = { current: () => work, changed: () => (form.refresh(), judging.choose()), hides: () => false, tiles: null, zoom: null };
const judging = new Judging(root, form, parts);
const grid = document.querySelector("[data-type=image_grid], [data-type=image]");
const tiles = grid
  ? new Tiles(grid, $("tile-part"), {
      press: (id, shift) => judging.press(id, shift),
      lift: (event, id) => judging.lift(event, id),
      zoom: (id) => enlarge(id),
      look: () => {},
      moved: () => judging.aim(),
    })
  : null;
const zoom = new Zoom($("zoom"), {
  placeOf: (id) => judging.judge?.standing(id).place ?? 0,
  current: () => tiles?.current ?? null,
  hides: () => false,
});
Object.assign(parts, { tiles, zoom });

function enlarge(id, flip = false) {
  if (tiles?.current) zoom.show(work, { current: id ?? tiles.current.id, flip, pixelated: tiles.isPixelated(innerHeight / 2) });
}

function complain(fields) {
  let first = null;
  for (const [name, messages] of Object.entries(fields)) {
    const field = form.of(name);
    field?.complain(`“${field.label}” ${messages.join(" ")}.`.replace(/\.\.$/, "."));
    first ??= field;
  }
  if (first) form.reveal(first);
}

async function save() {
  if (sending) return;
  const wrong = form.check();
  if (wrong) {
    form.reveal(wrong);
    return wrong.focus();
  }
  sending = true;
  clearNotices();
  $("saved").textContent = "Saving…";
  try {
    const body = { ...config.body, answers: form.read(), comment: $("fix-comment").value };
    const answer = await api.send(config.send.method, config.send.path, body);
    if (answer.status < 300) return location.assign(config.body.verdict ? `${config.next}${config.next.includes("?") ? "&" : "?"}fixed=${answer.body.id}` : config.next);
    complain(answer.body?.fields ?? {});
    notify("danger", answer.body?.detail ?? `The server answered with error ${answer.status}. Nothing was saved.`);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    notify("danger", "The connection is gone, and nothing was saved. Try again when it is back.");
  }
  $("saved").textContent = "";
  sending = false;
}

const leave = () => location.assign(config.back);
listen({
  form,
  tiles,
  zoom,
  live: null,
  keymap,
  current: work,
  get canJudge() {
    return Boolean(judging.judge);
  },
  press: (id, shift) => judging.press(id, shift),
  give: (id, place) => judging.give(id, place),
  undo: (verb) => judging.undo(verb),
  undoSubmission: () => {},
  submit: save,
  enlarge,
  look: () => {},
  lookAll: () => {},
  focusTile: () => tiles?.focus(),
  openSkip: leave,
});
root.addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
$("undo").addEventListener("click", () => judging.undo("undo"));
$("redo").addEventListener("click", () => judging.undo("redo"));

form.show(config.answers, work);
tiles?.show(work);
judging.mark();
judging.choose();
tiles?.focus();
announce(document.querySelector(".fixing").textContent.trim());
