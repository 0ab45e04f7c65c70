import { Field } from "../../form/field.js";

export default class extends Field {
  get #inputs() {
    return [...this.section.querySelectorAll("input")];
  }

  show(answer) {
    for (const input of this.#inputs) input.checked = Array.isArray(answer) && answer.includes(input.value);
  }

  read() {
    const values = this.#inputs.filter((input) => input.checked).map((input) => input.value);
    return values.length ? values : undefined;
  }

  missing() {
    return `“${this.label}” is not answered. Tick one or more.`;
  }

  check(answer) {
    const { most } = this.component;
    return most && answer.length > most ? `“${this.label}” has ${answer.length} ticks; at most ${most} are taken.` : "";
  }

  focus() {
    this.#inputs[0].focus();
  }
}
