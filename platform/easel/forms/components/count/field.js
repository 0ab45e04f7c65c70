import { Field } from "../../form/field.js";

export default class extends Field {
  asks = true;

  value() {
    return this.control.value === "" ? undefined : this.control.valueAsNumber;
  }

  fill(value) {
    if (value !== undefined) this.control.value = value;
  }
}
