import { Field } from "../../form/field.js";

export default class extends Field {
  show(answer) {
    const chosen = this.component.multiple ? (answer ?? []) : [answer ?? ""];
    for (const option of this.control.options) option.selected = chosen.includes(option.value);
  }

  read() {
    const values = [...this.control.selectedOptions].map((option) => option.value).filter(Boolean);
    return values.length ? (this.component.multiple ? values : values[0]) : undefined;
  }

  missing() {
    return `“${this.label}” is not answered. Choose from the list.`;
  }
}
