import { Field } from "../../form/field.js";

export default class extends Field {
  asks = true;

  value() {
    const found = {};
    for (const control of this.#controls) {
      if (control.value === "") continue;
      found[control.dataset.setting] = control.type === "number" ? control.valueAsNumber : JSON.parse(control.value);
    }
    return Object.keys(found).length ? found : undefined;
  }

  fill(value) {
    for (const control of this.#controls) {
      const setting = value?.[control.dataset.setting];
      control.value = setting === undefined ? "" : typeof setting === "number" ? setting : JSON.stringify(setting);
    }
  }

  focus() {
    this.section.querySelector("details").open = true;
    this.#controls[0]?.focus();
  }

  get #controls() {
    return [...this.section.querySelectorAll("[data-setting]")];
  }
}
