import { Field } from "../../form/field.js";

export default class extends Field {
  constructor(section, component) {
    super(section, component);
    section.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays on the image
  }

  show(answer) {
    this.control.checked = answer === true;
  }

  read() {
    return this.control.checked || undefined;
  }

  missing() {
    return `Tick “${this.label}” to go on.`;
  }

  key(act) {
    if (act !== "none") return false;
    this.control.checked = !this.control.checked;
    this.complain("");
    this.changed(`${this.label}: ${this.control.checked ? "yes" : "no"}.`);
    return true;
  }
}
