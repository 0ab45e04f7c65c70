import { Field } from "../../form/field.js";

export default class extends Field {
  show(answer) {
    this.control.value = typeof answer === "string" ? answer : "";
  }

  read() {
    return this.control.value.trim() ? this.control.value : undefined;
  }
}
