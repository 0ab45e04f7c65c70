import { Field } from "../../form/field.js";
import { tableOf } from "../../form/table.js";

// A row an image, a column a flag.
export default class extends Field {
  show(answer, work) {
    this.work = work;
    const table = tableOf(work.candidates, this.component.flags, this.label, (cell, candidate, flag) => {
      const tick = document.createElement("input");
      tick.type = "checkbox";
      tick.dataset.candidate = candidate.id;
      tick.value = flag.value;
      tick.checked = Boolean(answer?.[candidate.id]?.includes(flag.value));
      tick.setAttribute("aria-label", `Image ${candidate.letter}: ${flag.label || flag.value}`);
      const label = document.createElement("label");
      label.className = "check lone";
      label.append(tick);
      cell.append(label);
    });
    this.section.querySelector("[data-table]").replaceChildren(table);
  }

  read() {
    const found = {};
    for (const tick of this.section.querySelectorAll("input:checked")) {
      found[tick.dataset.candidate] = [...(found[tick.dataset.candidate] ?? []), tick.value];
    }
    return Object.keys(found).length ? found : undefined;
  }

  missing() {
    return `“${this.label}” has no flag. Tick what an image shows.`;
  }

  focus() {
    this.section.querySelector("input")?.focus();
  }
}
