import { Field } from "../../form/field.js";

export default class extends Field {
  get #inputs() {
    return [...this.section.querySelectorAll("input")];
  }

  show(answer) {
    for (const input of this.#inputs) input.checked = input.value === answer;
  }

  read() {
    return this.#inputs.find((input) => input.checked)?.value;
  }

  missing() {
    return `“${this.label}” is not answered. Choose one.`;
  }

  focus() {
    (this.#inputs.find((input) => input.checked) ?? this.#inputs[0]).focus();
  }
}
