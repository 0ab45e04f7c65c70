// A live form: the annotator writes a prompt, has images made, and ranks them. The desk (../live/desk.js) talks to the server;
// this shows what it tells.

import { LiveDesk } from "../live/desk.js";
import { openDialog } from "../page.js";
import { Attempts } from "./attempts.js";
import { Picture } from "./work.js";

const KEEP_DAYS = 14;

export class Live {
  #desk;
  #form;
  #tiles;
  #shelf;
  #project;
  #sample;
  #page;
  #attempts;
  #pictures = new Map();
  #first = true;
  #typed = false;

  // page: show(assignment, pictures), release(), blank(), announce(words), notify(kind, words)
  constructor({ api, form, tiles, project, version, shelf, sample, ...page }) {
    this.#form = form;
    this.#tiles = tiles;
    this.#shelf = shelf;
    this.#project = project;
    this.#sample = sample;
    this.#page = page;
    this.#desk = new LiveDesk({ api, project, version });
    shelf.sweep(KEEP_DAYS);
    const on = (name, act) => this.#desk.addEventListener(name, ({ detail }) => act(detail));
    on("progress", (progress) => this.#progress(progress));
    on("images", (candidates) => this.#images(candidates));
    on("assignment", (assignment) => this.#ready(assignment));
    on("problem", (problem) => this.#problem(problem));
    on("trouble", ({ detail }) => detail && page.notify("warning", detail));
    const { button, vary, stop } = form.generate;
    button.addEventListener("click", () => this.generate());
    vary?.addEventListener("click", () => this.vary());
    stop.addEventListener("click", () => this.#desk.cancel());
    const dialog = document.getElementById("attempts");
    this.#attempts = new Attempts(dialog, this.#desk, (told) => this.#open(told));
    document.getElementById("earlier").addEventListener("click", () => this.history());
    for (const part of form.asking) {
      part.section.addEventListener("input", () => {
        part.complain("");
        this.#typed = true;
        this.#keep();
        this.#tellPrompt();
      });
    }
  }

  get #prompt() {
    return this.#form.asking.find((part) => part.type === "prompt");
  }

  // Whether the next thing to do is to write a prompt.
  get wantsWords() {
    return !this.#pictures.size && !this.#desk.busy;
  }

  focus() {
    this.#prompt.focus();
  }

  // Go on with what was begun before a reload, or with an empty form.
  async start() {
    this.#page.blank();
    const kept = this.#shelf.get(this.#project);
    if (kept) this.#form.fill(kept.values);
    if (!this.#sample || document.hasFocus()) this.focus();
    const told = this.#sample ? null : await this.#desk.resume();
    // What was typed later than the attempt, or this very moment, stays.
    const later = this.#typed || (kept && kept.at > Date.parse(told?.created_at));
    if (told && !later) this.#form.fill(told.values);
    this.#tellPrompt();
  }

  async generate(vary = null) {
    if (this.#sample) return this.#rehearse();
    for (const part of this.#form.asking) part.complain("");
    const text = this.#prompt.value();
    if (!text) {
      this.#prompt.complain(`“${this.#prompt.label}” is empty. Write what the images should show.`);
      return this.focus();
    }
    this.#first = true;
    this.#keep();
    if (document.activeElement?.closest(".asking") && document.activeElement !== this.#form.generate.button) document.activeElement.blur();
    await this.#desk.generate(this.#form.values(), { vary });
  }

  // Start from the image that is chosen.
  vary() {
    const { vary } = this.#form.generate;
    const candidate = this.#tiles?.current;
    if (vary && !vary.disabled && candidate) this.generate(candidate.id);
  }

  aim() {
    const { vary } = this.#form.generate;
    if (vary) vary.disabled = !this.#tiles?.current || Boolean(this.#sample);
  }

  // The item was submitted or skipped: the next prompt.
  next() {
    this.#pictures.clear();
    this.#page.blank();
    if (this.#desk.busy) return; // the images of the next prompt are on their way
    this.#desk.close();
    this.#form.generate.progress(null, "");
    const model = this.#form.values();
    delete model[this.#prompt.name];
    this.#form.fill(model); // the prompt is empty; model and settings stay
    this.#keep();
    this.focus();
  }

  // What was generated before, to look at or to rank after all.
  history() {
    if (this.#sample) return;
    openDialog(document.getElementById("attempts"));
    this.#attempts.load();
  }

  async #open(told) {
    this.#pictures.clear();
    const opened = await this.#desk.open(told.id);
    if (opened) this.#form.fill(opened.values);
  }

  hint() {
    const words = this.#desk.busy ? "The images are still being made." : "Write a prompt and generate images first.";
    this.#page.announce(words);
    this.#form.generate.complain(words);
  }

  #keep() {
    this.#shelf.set(this.#project, { values: this.#form.values(), at: Date.now() });
  }

  #progress({ state, done, total, step, steps, note }) {
    const { generate } = this.#form;
    const busy = ["asking", "queued", "running", "finishing"].includes(state);
    if (busy && state !== "asking") generate.complain("");
    const part = steps ? Math.min(step / steps, 1) : 0;
    const percent = total ? Math.round((100 * Math.min(done + part, total)) / total) : 0;
    const words = {
      idle: "",
      asking: "Asking…",
      queued: "Waiting for a worker…",
      running: note || `${done} of ${total} images`,
      finishing: "Almost there…",
      paused: "Paused by an admin of the project.",
      cancelled: "Stopped. Change the prompt, or generate again.",
      over: "These images were ranked in another tab.",
    }[state];
    generate.progress(busy ? percent : null, words ?? "");
    if (busy && total && !this.#pictures.size) this.#draw([], total);
    if (state === "cancelled" && this.#desk.attempt) this.#draw(this.#desk.attempt.candidates, 0);
    if (state === "queued" && this.#first) this.#page.announce("Generating.");
  }

  // Images stand under the words that they were made of.
  #tellPrompt() {
    const told = this.#desk.attempt?.told.prompt.text;
    const other = told !== undefined && this.#pictures.size > 0 && told !== this.#prompt.value();
    if (!this.#desk.busy) this.#form.generate.words.textContent = other ? `These images show: “${told}”` : "";
  }

  #images(candidates) {
    const { total } = this.#desk.attempt.told.progress;
    if (this.#first) this.#page.announce("The first image is there.");
    this.#first = false;
    this.#draw(candidates, total);
  }

  #draw(candidates, total) {
    this.#page.release();
    const known = this.#pictures;
    this.#pictures = new Map(candidates.map((one) => [one.id, known.get(one.id) ?? new Picture(one)]));
    const lettered = candidates.map((one, index) => ({ ...one, letter: String.fromCharCode(65 + index) }));
    this.#tiles?.show({ candidates: lettered, pictures: this.#pictures, expected: total, keep: true });
  }

  #ready(assignment) {
    this.#form.generate.progress(null, "");
    this.#page.show(assignment, this.#pictures);
    this.#tellPrompt();
    this.#page.announce(`All ${assignment.item.candidates.length} images are there. Rank them.`);
  }

  #problem({ detail, fields }) {
    this.#form.generate.progress(null, "");
    let first = null;
    for (const [name, messages] of Object.entries(fields ?? {})) {
      const part = this.#form.of(name);
      part?.complain(`“${part.label}” ${messages.join(" ")}.`.replace(/\.\.$/, "."));
      first ??= part;
    }
    if (first) first.focus();
    else this.#form.generate.complain(detail);
  }

  // Tried out: the sample images come at once.
  #rehearse() {
    this.#page.show({ ...this.#sample, id: `sample-${performance.now()}`, draft: null }, new Map());
  }
}
