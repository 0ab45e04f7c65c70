import { Field } from "../../form/field.js";
import { levels } from "../../form/levels.js";
import { tableOf } from "../../form/table.js";

// A row an image, a column an aspect.
export default class extends Field {
  #scales = new Map();

  show(answer, work) {
    const { aspects, levels: count, low, high, name } = this.component;
    this.#scales.clear();
    const table = tableOf(work.candidates, aspects, this.label, (cell, candidate, aspect) => {
      const scale = levels(cell, {
        name: `${name}-${candidate.id}-${aspect.value}`,
        count,
        style: "likert",
        label: `Image ${candidate.letter}, ${aspect.label || aspect.value}`,
        low,
        high,
      });
      scale.value = answer?.[candidate.id]?.[aspect.value];
      this.#scales.set(`${candidate.id}/${aspect.value}`, scale);
    });
    this.work = work;
    this.section.querySelector("[data-table]").replaceChildren(table);
  }

  read() {
    const found = {};
    for (const { id } of this.work?.candidates ?? []) {
      for (const { value } of this.component.aspects) {
        const level = this.#scales.get(`${id}/${value}`)?.value;
        if (level) found[id] = { ...found[id], [value]: level };
      }
    }
    return Object.keys(found).length ? found : undefined;
  }

  check(answer, required) {
    if (!required) return "";
    for (const { id, letter } of this.work.candidates) {
      for (const aspect of this.component.aspects) {
        if (!answer?.[id]?.[aspect.value]) return `“${this.label}” misses image ${letter}, ${aspect.label || aspect.value}. Rate every image by every aspect.`;
      }
    }
    return "";
  }

  missing() {
    return `“${this.label}” is not answered. Rate every image by every aspect.`;
  }

  focus() {
    const groups = [...this.section.querySelectorAll("[role=radiogroup]")];
    groups.find((group) => !group.querySelector(":checked"))?.querySelector("input").focus();
  }
}
