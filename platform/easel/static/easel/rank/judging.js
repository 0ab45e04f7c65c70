// Placing images: the field that letters, digits and tiles work on, and what it says of each image.

import { announce } from "./words.js";

export class Judging {
  #root;
  #form;
  #page;
  judge;

  // page: { tiles, zoom, current(), changed(), hides(id) }; tiles and zoom may come later
  constructor(root, form, page) {
    this.#root = root;
    this.#form = form;
    this.#page = page;
    this.judge = form.judges[0] ?? null;
    for (const name of ["pointerdown", "focusin"]) {
      root.addEventListener(name, ({ target }) => {
        const field = form.judges.find(({ section }) => section.contains(target));
        if (field) this.choose(field);
      });
    }
    this.#listen();
  }

  // The field that letters work on: the one that was used last, while it is in view.
  choose(wanted = this.judge) {
    const inView = (field) => field && !field.section.closest(".is-hidden");
    const before = this.judge;
    this.judge = inView(wanted) ? wanted : (this.#form.judges.find(inView) ?? null);
    if (this.judge !== before) this.mark();
  }

  press(id, shift) {
    this.#tell((judge) => judge.press(id, shift));
  }

  give(id, place) {
    if (id) this.#tell((judge) => judge.give(id, place));
  }

  undo(verb) {
    this.#tell((judge) => judge[verb]());
  }

  lift(event, id) {
    if (this.#page.current()) this.judge?.lift?.(event, id);
  }

  // Say on tiles and enlarged images where each stands.
  mark() {
    const { tiles, zoom } = this.#page;
    const judge = this.#page.current() && this.judge;
    tiles?.mark(judge, this.#page.hides);
    zoom?.refresh();
    document.getElementById("undo").disabled = !judge?.canUndo;
    document.getElementById("redo").disabled = !judge?.canRedo;
  }

  aim() {
    for (const part of this.#form.parts) part.aim(this.#page.tiles?.current ?? null);
  }

  #tell(act) {
    const words = this.#page.current() && this.judge && act(this.judge);
    if (words) announce(words);
  }

  #takeUp(target, words) {
    this.judge = this.#form.holding(target) ?? this.judge;
    this.judge?.complain("");
    if (words) announce(words);
    this.mark();
    this.#page.changed();
  }

  #listen() {
    const on = (name, act) => this.#root.addEventListener(name, ({ target, detail }) => act(target, detail));
    const turnTo = (target) => (this.judge = this.#form.holding(target) ?? this.judge);
    on("easel-change", (target, { id }) => this.#takeUp(target, id ? `${target.describe(id)}.` : ""));
    on("easel-judge", (target, { words }) => this.#takeUp(target, words && `${words}.`));
    on("easel-answer", (target, { words }) => {
      this.#form.holding(target)?.complain("");
      if (words) announce(words);
      this.#page.changed();
    });
    on("easel-choose", (target, { id }) => {
      turnTo(target);
      this.#page.tiles?.choose(id);
    });
    on("easel-place", (target, { place }) => {
      turnTo(target);
      this.give(this.#page.tiles?.current?.id, place);
    });
    on("input", (target) => {
      this.#form.holding(target)?.complain("");
      this.#page.changed();
    });
  }
}
