// What annotators get: the server's own page of the form, in a frame. The next one loads behind the one in view and takes its place
// once it is there, scrolled as that was, so that nothing flickers. Where it cannot be shown, the last one stays. Each is a frame of
// its own: loading into the same one again would fill the Back button's history. A frame is inert until somebody points at it or
// goes into it: Tab does not lead through it, and its page takes no focus before it has it (rank/main.js).

import { el, later } from "./dom.js";

const AFTER_MS = 400;
const PATIENCE_MS = 10_000;

const STUCK = "A form with problems cannot be shown.";

export class Preview {
  #form;
  #host;
  #note;
  #current = null;
  #next = null;
  #waiting = null;
  #shown = "";
  #patience = 0;
  #number = 0;

  // form: the hidden one that is posted. host: where the frames stand. note: where it says why nothing is shown. enter: the
  // button that goes into the frame.
  constructor({ form, host, note, enter }) {
    this.#form = form;
    this.#host = host;
    this.#note = note;
    for (const name of ["pointerenter", "pointermove", "pointerdown"]) host.addEventListener(name, () => this.#wake());
    enter.addEventListener("click", () => this.#wake() && this.#current.focus());
    this.show = later((definition) => this.#post(definition), AFTER_MS);
  }

  // A form with problems cannot be shown: what is in view stays until they are mended.
  hold() {
    this.show.cancel();
    this.#waiting = null;
    this.#say(this.#stuck);
  }

  get #stuck() {
    return `${STUCK} ${this.#current ? "Mend them; what you see here is from before." : "It is here once they are mended."}`;
  }

  #say(note) {
    this.#note.textContent = note;
    this.#note.hidden = !note;
  }

  #post(definition) {
    const text = JSON.stringify(definition);
    if (this.#next) {
      this.#waiting = definition;
      return;
    }
    if (text === this.#shown) return this.#done("");
    this.#shown = text;
    this.#number += 1;
    const name = `preview-${this.#number}`;
    const frame = el("iframe", { name, title: "Preview of the form", inert: true });
    this.#next = frame;
    this.#host.append(frame);
    frame.addEventListener("load", () => this.#loaded(frame));
    const token = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
    if (token) this.#form.elements.csrfmiddlewaretoken.value = token.slice("csrftoken=".length);
    this.#form.elements.definition.value = text;
    this.#form.target = name;
    this.#patience = setTimeout(() => this.#give("The preview takes long. It comes with the next change."), PATIENCE_MS);
    this.#form.submit();
  }

  #loaded(frame) {
    if (frame !== this.#next) return;
    const page = reach(frame);
    if (page?.URL === "about:blank") return; // what a frame begins with
    if (!page?.getElementById("item")) return this.#give(this.#stuck);
    const before = reach(this.#current)?.scrollingElement;
    const [left, top] = [before?.scrollLeft ?? 0, before?.scrollTop ?? 0];
    page.scrollingElement.scrollTo(left, top);
    frame.classList.add("is-shown");
    this.#current?.remove();
    this.#current = frame;
    this.#next = null;
    this.#done("");
    // The page draws itself by script: once it is as tall as the last one was it can be scrolled as that was.
    if (top) setTimeout(() => page.scrollingElement?.scrollTo(left, top), 150);
  }

  #wake() {
    if (this.#current) this.#current.inert = false;
    return Boolean(this.#current);
  }

  #give(note) {
    this.#shown = "";
    this.#next?.remove();
    this.#next = null;
    this.#done(note);
  }

  #done(note) {
    clearTimeout(this.#patience);
    this.#say(note);
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting) this.#post(waiting);
  }
}

// The frame's document; null where it is no page of ours, as an error page of the browser's.
function reach(frame) {
  try {
    return frame?.contentDocument ?? null;
  } catch {
    return null;
  }
}
