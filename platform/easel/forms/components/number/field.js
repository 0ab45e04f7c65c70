import { Field } from "../../form/field.js";

export default class extends Field {
  show(answer) {
    this.control.value = typeof answer === "number" ? answer : "";
  }

  read() {
    return this.control.value === "" ? undefined : this.control.valueAsNumber;
  }

  // A browser keeps letters out of the value: what it cannot read as a number is empty and invalid.
  isMissing(answers) {
    return super.isMissing(answers) && !this.control.validity.badInput;
  }

  check(answer) {
    const { min, max, whole } = this.component;
    if (typeof answer !== "number") return `“${this.label}” must be a number.`;
    if (whole && !Number.isInteger(answer)) return `“${this.label}” must be a whole number.`;
    if (min !== null && answer < min) return `“${this.label}” is ${answer}; at least ${min} is taken.`;
    if (max !== null && answer > max) return `“${this.label}” is ${answer}; at most ${max} is taken.`;
    return "";
  }
}
