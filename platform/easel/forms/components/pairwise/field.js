import { Field } from "../../form/field.js";
import { History } from "../../form/history.js";

const WORDS = { tie: "Equally good", both_bad: "Both are bad" };

export default class extends Field {
  judges = true;
  size = 1;
  #history = new History();

  constructor(section, component) {
    super(section, component);
    this.buttons = [...section.querySelectorAll("[data-choice]")];
    for (const button of this.buttons) {
      button.addEventListener("mousedown", (event) => event.preventDefault());
      button.addEventListener("click", () => this.#choose(this.#valueOf(button)));
    }
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  show(answer, work) {
    this.work = work;
    this.#history.start(answer);
    this.#render();
  }

  read() {
    return this.#history.now;
  }

  missing() {
    return `“${this.label}” is not answered. Press A or B, or one of the buttons.`;
  }

  press(id) {
    this.#choose(this.#history.now === id ? undefined : id);
    return "";
  }

  give(id, place) {
    if (place > 1) return "Press the letter of the better image.";
    this.#choose(place ? id : undefined);
    return "";
  }

  key(act) {
    const choice = { equal: "tie", none: "both_bad" }[act];
    if (!choice || !this.component[choice]) return false;
    this.#choose(this.#history.now === choice ? undefined : choice);
    return true;
  }

  undo() {
    return this.#step("undo", "Undone");
  }

  redo() {
    return this.#step("redo", "Redone");
  }

  standing(id) {
    const now = this.#history.now;
    if (now === id) return { place: 1, words: "better", said: "the better one" };
    return { place: 0, words: WORDS[now] ?? "", said: WORDS[now] ?? "not chosen" };
  }

  describe() {
    const now = this.#history.now;
    if (now === undefined) return "Nothing is chosen";
    return WORDS[now] ?? `${this.work.candidates.find(({ id }) => id === now)?.letter} is better`;
  }

  focus() {
    this.buttons[0].focus();
  }

  #valueOf(button) {
    const { choice } = button.dataset;
    return choice in WORDS ? choice : this.work?.candidates[Number(choice)]?.id;
  }

  #choose(value) {
    if (!this.#history.push(value)) return;
    this.#render();
    this.judged(this.describe());
  }

  #step(verb, word) {
    if (!this.#history[verb]()) return "";
    this.#render();
    this.judged();
    return `${word}. ${this.describe()}.`;
  }

  #render() {
    for (const button of this.buttons) {
      const value = this.#valueOf(button);
      button.setAttribute("aria-pressed", String(value !== undefined && value === this.#history.now));
    }
  }
}
