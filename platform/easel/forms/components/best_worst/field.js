import { Field } from "../../form/field.js";
import { History } from "../../form/history.js";
import { chipOf } from "../../rank/element.js";

const ENDS = ["best", "worst"];

// The first letter pressed is the best, the second the worst; with Shift it is the worst at once.
export default class extends Field {
  judges = true;
  size = 2;
  #history = new History();

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  show(answer, work) {
    this.work = work;
    this.#history.start({ best: answer?.best, worst: answer?.worst });
    this.#render();
  }

  read() {
    const { best, worst } = this.#history.now;
    return best && worst ? { best, worst } : best || worst ? { ...(best && { best }), ...(worst && { worst }) } : undefined;
  }

  isMissing(answers) {
    return answers[this.name] === undefined && !Object.values(answers).includes(true);
  }

  missing() {
    return `“${this.label}” is not answered. Press the letter of the best image, then of the worst.`;
  }

  check(answer) {
    if (answer === undefined || (answer.best && answer.worst)) return "";
    return `“${this.label}” misses the ${answer.best ? "worst" : "best"} image. Press its letter.`;
  }

  press(id, worst) {
    const now = this.#history.now;
    const end = ENDS.find((one) => now[one] === id);
    if (end && !worst) return this.#set({ ...now, [end]: undefined });
    return this.#put(id, worst || now.best ? "worst" : "best");
  }

  give(id, place) {
    if (place > 2) return "1 is the best, 2 is the worst.";
    if (place === 0) return this.#set(this.#without(id));
    return this.#put(id, ENDS[place - 1]);
  }

  undo() {
    return this.#step("undo", "Undone");
  }

  redo() {
    return this.#step("redo", "Redone");
  }

  standing(id) {
    const end = ENDS.find((one) => this.#history.now[one] === id);
    return { place: end ? ENDS.indexOf(end) + 1 : 0, words: end ?? "", said: end ?? "between them" };
  }

  describe(id) {
    const letter = (one) => this.work.candidates.find((candidate) => candidate.id === one)?.letter ?? "none";
    if (id) return `${letter(id)}, ${this.standing(id).said}`;
    return `Best ${letter(this.#history.now.best)}, worst ${letter(this.#history.now.worst)}`;
  }

  focus() {}

  #without(id) {
    return Object.fromEntries(ENDS.map((end) => [end, this.#history.now[end] === id ? undefined : this.#history.now[end]]));
  }

  #put(id, end) {
    return this.#set({ ...this.#without(id), [end]: id });
  }

  #set(value) {
    if (this.#history.push(value)) {
      this.#render();
      this.judged(this.describe());
    }
    return "";
  }

  #step(verb, word) {
    if (!this.#history[verb]()) return "";
    this.#render();
    this.judged();
    return `${word}. ${this.describe()}.`;
  }

  #render() {
    for (const end of ENDS) {
      const candidate = this.work.candidates.find(({ id }) => id === this.#history.now[end]);
      this.section.querySelector(`[data-extreme=${end}] .chips`).replaceChildren(...(candidate ? [chipOf(candidate)] : []));
    }
  }
}
