import { Field } from "../../form/field.js";

// One panel in view; arrows move between tabs, as everywhere.
export default class extends Field {
  constructor(section, component) {
    super(section, component);
    this.tabs = [...section.querySelectorAll(":scope > [role=tablist] > [role=tab]")];
    for (const tab of this.tabs) tab.addEventListener("click", () => this.open(tab));
    section.querySelector(":scope > [role=tablist]").addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const at = this.tabs.indexOf(event.target);
      if (!step || at < 0) return;
      event.preventDefault();
      const tab = this.tabs[(at + step + this.tabs.length) % this.tabs.length];
      this.open(tab);
      tab.focus();
    });
  }

  show() {
    this.open(this.tabs[0]);
  }

  // After the conditions: a tab of a hidden group is hidden, and not the open one.
  refresh() {
    for (const tab of this.tabs) tab.hidden = Boolean(this.#panelOf(tab).querySelector(":scope > .is-hidden"));
    const open = this.tabs.find((tab) => tab.getAttribute("aria-selected") === "true");
    if (open?.hidden) this.open(this.tabs.find((tab) => !tab.hidden) ?? open);
  }

  #panelOf(tab) {
    return document.getElementById(tab.getAttribute("aria-controls"));
  }

  open(chosen) {
    for (const tab of this.tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      this.#panelOf(tab).hidden = tab !== chosen;
    }
  }

  // Bring what is inside into view.
  reveal(section) {
    const panel = section.closest("[role=tabpanel]");
    const tab = this.tabs.find((one) => one.getAttribute("aria-controls") === panel?.id);
    if (tab) this.open(tab);
  }
}
