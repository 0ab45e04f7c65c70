// What every component of a form does on the page. A component's own field.js extends it (easel/forms/components/<type>/).

export class Field {
  judges = false; // whether the page's letters and digits place images with it

  constructor(section, component) {
    this.section = section;
    this.component = component;
    this.name = component.name;
    this.type = component.type;
    this.label = section.dataset.label ?? component.label;
    this.control = section.querySelector("input:not([data-note]), textarea, select");
  }

  // Whether it is filled in for an attempt, before there are images.
  get asks() {
    return false;
  }

  // Put an answer into the page; `work` has the item: its prompt and its candidates, each with a letter.
  show() {}

  // The answer as it is in the page; undefined where there is none.
  read() {
    return undefined;
  }

  isMissing(answers) {
    return answers[this.name] === undefined;
  }

  // What to say where an answer that is asked for is not there.
  missing() {
    return `“${this.label}” is empty. Write a few words.`;
  }

  // What is wrong with an answer, as the server would say it; "" where nothing is.
  check() {
    return "";
  }

  // The image that the page is at.
  aim() {}

  // Show or take away what is wrong.
  complain(words) {
    const error = this.section.querySelector(":scope > .error");
    if (!error) return;
    error.textContent = words;
    error.hidden = !words;
    this.section.classList.toggle("is-wrong", Boolean(words));
    this.control?.setAttribute("aria-invalid", String(Boolean(words)));
  }

  ask(required) {
    const words = this.section.querySelector(":scope [data-optional]");
    if (words) words.hidden = required;
    if (this.control && !["radio", "checkbox"].includes(this.control.type)) this.control.setAttribute("aria-required", String(required));
  }

  focus() {
    this.control?.focus();
  }

  // Tell the page of an answer that no input event tells it of.
  changed(words = "") {
    this.section.dispatchEvent(new CustomEvent("easel-answer", { detail: { words }, bubbles: true }));
  }

  // The same for one that places images.
  judged(words = "") {
    this.section.dispatchEvent(new CustomEvent("easel-judge", { detail: { words }, bubbles: true }));
  }
}
