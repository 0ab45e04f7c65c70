import { Field } from "../../form/field.js";

// Shown with the item, or written for an attempt.
export default class extends Field {
  get asks() {
    return this.component.mode === "input";
  }

  value() {
    return this.control.value.trim() || undefined;
  }

  fill(value) {
    this.control.value = value ?? "";
  }

  show(_answer, work) {
    if (this.asks) return;
    const { text, negative, messages } = work.item.prompt;
    const words = this.section.querySelector("[data-prompt]");
    const list = this.section.querySelector("[data-messages]");
    words.textContent = text;
    words.hidden = Boolean(messages?.length);
    list.hidden = !messages?.length;
    list.replaceChildren(...(messages ?? []).map(messageOf));
    const unwanted = this.section.querySelector("[data-negative]");
    unwanted.hidden = !negative;
    unwanted.lastElementChild.textContent = negative ?? "";
    // What does not fit can be scrolled by the keyboard as well.
    if (words.scrollHeight > words.clientHeight + 1) words.tabIndex = 0;
    else words.removeAttribute("tabindex");
  }
}

const WHO = { user: "Person", assistant: "Model", system: "Instruction" };

function messageOf({ role, content }) {
  const item = document.createElement("li");
  item.className = `message from-${role in WHO ? role : "user"}`;
  const who = document.createElement("b");
  who.className = "small quiet";
  who.textContent = WHO[role] ?? role;
  const words = document.createElement("p");
  words.dir = "auto";
  words.textContent = content;
  item.append(who, words);
  return item;
}
