import { Field } from "../../form/field.js";

const SPACE = /[ \t\n\r\f\v\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u; // as the server does (__init__.py)

// The prompt's words as buttons: each press goes on to the next kind, and at last to none.
export default class extends Field {
  #marks = new Map(); // the number of a word -> kind

  constructor(section, component) {
    super(section, component);
    this.line = section.querySelector("[data-words]");
    this.line.addEventListener("click", (event) => {
      const button = event.target.closest("[data-word]");
      if (button) this.#turn(Number(button.dataset.word));
    });
  }

  show(answer, work) {
    this.#marks = new Map((answer ?? []).map(({ word, kind }) => [word, kind]));
    const words = work.item.prompt.text.split(SPACE).filter(Boolean);
    this.line.replaceChildren(
      ...words.flatMap((word, index) => {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.word = index;
        button.textContent = word;
        return [button, " "];
      }),
    );
    this.#render();
  }

  read() {
    const marks = [...this.#marks].sort(([one], [other]) => one - other).map(([word, kind]) => ({ word, kind }));
    return marks.length ? marks : undefined;
  }

  missing() {
    return `“${this.label}” has no mark. Press the words that the images miss.`;
  }

  focus() {
    this.line.querySelector("button")?.focus();
  }

  #turn(word) {
    const kinds = this.component.kinds.map((kind) => kind.value);
    const next = kinds[kinds.indexOf(this.#marks.get(word)) + 1];
    if (next) this.#marks.set(word, next);
    else this.#marks.delete(word);
    this.#render();
    this.changed();
  }

  #render() {
    const { kinds } = this.component;
    for (const button of this.line.querySelectorAll("[data-word]")) {
      const at = kinds.findIndex((kind) => kind.value === this.#marks.get(Number(button.dataset.word)));
      button.className = `word${at >= 0 ? ` kind-${at % 4}` : ""}`;
      button.setAttribute("aria-pressed", String(at >= 0));
      button.setAttribute("aria-label", `${button.textContent}${at >= 0 ? `, ${kinds[at].label || kinds[at].value}` : ""}`);
    }
  }
}
