import { Field } from "../../form/field.js";

// A slider that nobody moved has no answer: its thumb stands in the middle, pale, and the number is a dash.
export default class extends Field {
  constructor(section, component) {
    super(section, component);
    this.output = section.querySelector("output");
    this.clear = section.querySelector("[data-clear]");
    this.control.addEventListener("input", () => this.#set(this.control.valueAsNumber));
    this.control.addEventListener("pointerdown", () => this.answer === undefined && this.#moved());
    this.control.addEventListener("keydown", (event) => {
      if (event.key === " " && this.answer === undefined) {
        event.preventDefault();
        this.#moved();
      }
    });
    this.clear.addEventListener("click", () => {
      this.#set(undefined);
      this.changed();
      this.focus();
    });
  }

  show(answer) {
    this.#set(typeof answer === "number" ? answer : undefined);
  }

  read() {
    return this.answer;
  }

  #moved() {
    this.#set(this.control.valueAsNumber);
    this.changed();
  }

  #set(answer) {
    this.answer = answer;
    this.control.classList.toggle("is-empty", answer === undefined);
    this.control.value = answer ?? (this.component.min + this.component.max) / 2;
    this.output.textContent = answer ?? "–";
    this.clear.hidden = answer === undefined;
  }
}
