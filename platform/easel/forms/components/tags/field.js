import { Field } from "../../form/field.js";

export default class extends Field {
  #tags = [];

  constructor(section, component) {
    super(section, component);
    this.list = section.querySelector(".tags-list");
    this.control.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && this.control.value.trim()) {
        event.preventDefault();
        event.stopPropagation();
        this.#add();
      } else if (event.key === "Backspace" && !this.control.value && this.#tags.length) {
        this.#set(this.#tags.slice(0, -1));
        this.changed();
      }
    });
    section.querySelector("[data-add]").addEventListener("click", () => this.#add());
    this.list.addEventListener("click", (event) => {
      const tag = event.target.closest("[data-tag]")?.dataset.tag;
      if (tag === undefined) return;
      this.#set(this.#tags.filter((one) => one !== tag));
      this.changed();
      this.focus();
    });
  }

  show(answer) {
    this.control.value = "";
    this.#set(Array.isArray(answer) ? answer : []);
  }

  // What is written and not added yet counts as well: nothing that was typed is lost.
  read() {
    const written = this.control.value.trim();
    const tags = written && !this.#tags.includes(written) ? [...this.#tags, written] : this.#tags;
    return tags.length ? tags : undefined;
  }

  check(answer) {
    const { most, only_suggested, suggestions } = this.component;
    if (answer.length > most) return `“${this.label}” has ${answer.length} tags; at most ${most} are taken.`;
    const own = only_suggested ? answer.find((tag) => !suggestions.includes(tag)) : undefined;
    return own === undefined ? "" : `“${own}” is not among the suggested tags. Choose from the list.`;
  }

  #add() {
    const written = this.control.value.trim();
    this.control.value = "";
    if (written && !this.#tags.includes(written)) this.#set([...this.#tags, written]);
    this.changed();
    this.focus();
  }

  #set(tags) {
    this.#tags = [...tags];
    this.list.replaceChildren(
      ...this.#tags.map((tag) => {
        const item = document.createElement("li");
        const button = document.createElement("button");
        button.type = "button";
        button.className = "tag";
        button.dataset.tag = tag;
        button.textContent = `${tag} ×`;
        button.setAttribute("aria-label", `Remove ${tag}`);
        item.append(button);
        return item;
      }),
    );
  }
}
