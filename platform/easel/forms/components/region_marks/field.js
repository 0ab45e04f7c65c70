import { Field } from "../../form/field.js";
import { Stage } from "./stage.js";

// Boxes and points on one image at a time; the marks of all are kept.
export default class extends Field {
  #marks = new Map(); // candidate id -> marks
  #noted; // the mark whose note is in the field

  constructor(section, component) {
    super(section, component);
    this.which = section.querySelector("[data-which]");
    this.kinds = section.querySelector("[data-kinds]");
    this.removing = section.querySelector("[data-remove]");
    this.note = section.querySelector("[data-note]");
    this.stage = new Stage(section.querySelector("[data-stage]"), component, {
      kind: () => this.kinds.querySelector("[aria-pressed=true]").dataset.kind,
      changed: () => this.#changed(),
      chosen: () => this.#mirror(),
    });
    section.querySelector("[data-add]").addEventListener("click", () => this.stage.add());
    this.removing.addEventListener("click", () => this.stage.remove());
    this.note?.addEventListener("input", () => this.stage.write(this.note.value));
    this.kinds.addEventListener("click", (event) => {
      const button = event.target.closest("[data-kind]");
      if (!button) return;
      press(this.kinds, button);
      this.stage.turn(button.dataset.kind);
    });
    this.which.addEventListener("click", (event) => {
      const button = event.target.closest("[data-candidate]");
      if (button) this.#open(button.dataset.candidate);
    });
  }

  show(answer, work) {
    this.work = work;
    this.#marks = new Map(work.candidates.map(({ id }) => [id, (answer?.[id] ?? []).map((mark) => ({ ...mark }))]));
    this.which.replaceChildren(
      ...work.candidates.map(({ id }) => {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.candidate = id;
        return button;
      }),
    );
    this.which.hidden = work.candidates.length < 2;
    if (work.candidates.length) this.#open(work.candidates[0].id);
  }

  read() {
    const found = Object.fromEntries([...this.#marks].filter(([, marks]) => marks.length).map(([id, marks]) => [id, marks.map((mark) => ({ ...mark }))]));
    return Object.keys(found).length ? found : undefined;
  }

  missing() {
    return `“${this.label}” has no mark. Draw one on an image.`;
  }

  // The image that is chosen on the page is the one that is marked.
  aim(candidate) {
    if (candidate && this.#marks.has(candidate.id)) this.#open(candidate.id);
  }

  focus() {
    this.section.querySelector("[data-add]").focus();
  }

  #open(id) {
    const candidate = this.work.candidates.find((one) => one.id === id);
    this.stage.show(candidate, this.#marks.get(id));
    press(this.which, [...this.which.children].find((button) => button.dataset.candidate === id));
    this.#count();
  }

  #changed() {
    this.#count();
    this.changed();
  }

  #count() {
    for (const [index, button] of [...this.which.children].entries()) {
      const { id, letter } = this.work.candidates[index];
      const count = this.#marks.get(id).length;
      button.textContent = count ? `${letter} (${count})` : letter;
      button.setAttribute("aria-label", `Image ${letter}, ${count} ${count === 1 ? "mark" : "marks"}`);
    }
    this.#mirror();
  }

  #mirror() {
    const mark = this.stage.chosen;
    this.removing.disabled = !mark;
    if (mark) press(this.kinds, [...this.kinds.children].find((button) => button.dataset.kind === mark.kind));
    if (!this.note) return;
    this.note.disabled = !mark;
    if (mark !== this.#noted || document.activeElement !== this.note) this.note.value = mark?.note ?? "";
    this.#noted = mark;
  }
}

function press(group, chosen) {
  for (const button of group.children) button.setAttribute("aria-pressed", String(button === chosen));
}
