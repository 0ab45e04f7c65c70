import { Field } from "../../form/field.js";

// Shown where the prompt has one, or written for an attempt.
export default class extends Field {
  get asks() {
    return this.component.mode === "input";
  }

  value() {
    return this.control.value.trim() || undefined;
  }

  fill(value) {
    this.control.value = value ?? "";
  }

  show(_answer, work) {
    if (this.asks) return;
    this.section.hidden = !work.item.prompt.negative;
    this.section.querySelector("[data-negative-text]").textContent = work.item.prompt.negative ?? "";
  }
}
