// The components that are answered, each with the same five verbs: show, read, check, complain, focus.

export function fieldsOf(form) {
  const kinds = { ranking: RankingField, all_bad: TickField, textarea: TextField };
  const sections = [...form.querySelectorAll("[data-component]")].filter((section) => section.dataset.type in kinds);
  return sections.map((section) => new kinds[section.dataset.type](section));
}

class Field {
  constructor(section) {
    this.section = section;
    this.name = section.dataset.component;
    this.type = section.dataset.type;
    this.label = section.dataset.label;
    this.required = "required" in section.dataset;
  }

  complain(words) {
    const error = this.section.querySelector(".error");
    error.textContent = words;
    error.hidden = !words;
    this.section.classList.toggle("is-wrong", Boolean(words));
    this.control?.setAttribute("aria-invalid", String(Boolean(words)));
  }
}

class RankingField extends Field {
  constructor(section) {
    super(section);
    this.element = section.querySelector("easel-ranking");
    this.partial = "partial" in section.dataset;
  }

  show(answer, work) {
    this.element.show(work.candidates, answer, { ties: "ties" in this.section.dataset, levels: Number(this.section.dataset.levels) });
  }

  read() {
    const groups = this.element.ranking.groups;
    return groups.length ? groups : undefined;
  }

  check(answers, fields) {
    const { groups, unranked } = this.element.ranking;
    const ticked = Object.values(answers).includes(true);
    if (this.required && !groups.length && !ticked) {
      const other = fields.find((field) => field.type === "all_bad");
      return `“${this.label}” has no image yet. Press the letters of the images, best first${other ? `, or tick “${other.label}”` : ""}.`;
    }
    if (groups.length && !this.partial && unranked.length) {
      const letters = unranked.map((id) => this.element.describe(id)[0]).join(", ");
      return `“${this.label}” misses ${letters}. Give every image a place; equal ones can share one.`;
    }
    return "";
  }

  focus() {}
}

class TickField extends Field {
  constructor(section) {
    super(section);
    this.control = section.querySelector("input");
  }

  show(answer) {
    this.control.checked = answer === true;
  }

  read() {
    return this.control.checked || undefined;
  }

  check() {
    return this.required && !this.control.checked ? `Tick “${this.label}” to go on.` : "";
  }

  toggle() {
    this.control.checked = !this.control.checked;
  }

  focus() {
    this.control.focus();
  }
}

class TextField extends Field {
  constructor(section) {
    super(section);
    this.control = section.querySelector("textarea");
  }

  show(answer) {
    this.control.value = typeof answer === "string" ? answer : "";
  }

  read() {
    return this.control.value.trim() ? this.control.value : undefined;
  }

  check() {
    return this.required && !this.control.value.trim() ? `“${this.label}” is empty. Write a few words.` : "";
  }

  focus() {
    this.control.focus();
  }
}
