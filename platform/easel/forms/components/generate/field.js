import { Field } from "../../form/field.js";

// The button; what it starts is the page's business (rank/live.js).
export default class extends Field {
  asks = true;

  constructor(section, component) {
    super(section, component);
    this.button = section.querySelector("[data-generate]");
    this.vary = section.querySelector("[data-vary]");
    this.stop = section.querySelector("[data-stop]");
    this.words = section.querySelector("[data-attempt-state]");
    this.bar = section.querySelector("[data-attempt-bar]");
  }

  // percent: null where nothing is on its way.
  progress(percent, words = "") {
    if (percent === null && document.activeElement === this.stop) this.button.focus();
    this.bar.hidden = this.stop.hidden = percent === null;
    this.bar.value = percent ?? 0;
    this.words.textContent = words;
  }

  focus() {
    this.button.focus();
  }
}
