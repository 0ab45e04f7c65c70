import { Field } from "../../form/field.js";

export default class extends Field {
  show(answer) {
    this.control.value = typeof answer === "string" ? answer : "";
  }

  read() {
    return this.control.value || undefined;
  }

  check(answer) {
    const { min, max } = this.component;
    if (min && answer < min) return `“${this.label}” is before ${min}, the first day that is taken.`;
    if (max && answer > max) return `“${this.label}” is after ${max}, the last day that is taken.`;
    return "";
  }
}
