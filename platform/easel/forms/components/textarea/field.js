import { Field } from "../../form/field.js";

// A free text; T puts the cursor into the first one of a form.
export default class extends Field {
  show(answer) {
    this.control.value = typeof answer === "string" ? answer : "";
  }

  read() {
    return this.control.value.trim() ? this.control.value : undefined;
  }
}
