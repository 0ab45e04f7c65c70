import { Field } from "../../form/field.js";
import { levels } from "../../form/levels.js";

export default class extends Field {
  constructor(section, component) {
    super(section, component);
    this.scale = levels(section.querySelector("[data-levels]"), {
      name: `answer-${component.name}`,
      count: component.levels,
      style: component.style,
      label: this.label,
      low: component.low,
      high: component.high,
    });
  }

  show(answer) {
    this.scale.value = answer;
  }

  read() {
    return this.scale.value;
  }

  focus() {
    this.scale.focus();
  }
}
