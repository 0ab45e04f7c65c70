// The form in the middle: a tree of cards, which mouse, finger and keys can choose from. It draws what the state says.

import { sentence } from "./conditions.js";
import { el } from "./dom.js";

export class Canvas {
  #state;
  #words;
  #box;
  #empty;
  problems = new Map(); // node id → messages

  constructor(state, words, box, empty) {
    this.#state = state;
    this.#words = words;
    this.#box = box;
    this.#empty = empty;
    box.addEventListener("click", (event) => {
      const item = event.target.closest("[role=treeitem]");
      if (!item) return;
      state.choose(Number(item.dataset.id));
      this.focus();
    });
    box.addEventListener("focusin", (event) => {
      const item = event.target.closest("[role=treeitem]");
      if (item && event.target === item) state.choose(Number(item.dataset.id));
    });
  }

  // Draws the whole form anew; the focus stays where it was in it.
  draw() {
    const { root } = this.#state;
    const had = this.#box.contains(document.activeElement);
    this.#box.replaceChildren(...root.children.map((node, index) => this.#item(node, index, root, 1)));
    this.#box.hidden = !root.children.length;
    this.#empty.hidden = Boolean(root.children.length);
    this.mark();
    if (had) this.focus();
  }

  // Shows which component is chosen; one is always in the order of the Tab key.
  mark() {
    const { chosen } = this.#state;
    const items = [...this.#box.querySelectorAll("[role=treeitem]")];
    const reachable = items.find((item) => Number(item.dataset.id) === chosen) ?? items[0];
    for (const item of items) {
      item.setAttribute("aria-selected", String(Number(item.dataset.id) === chosen));
      item.tabIndex = item === reachable ? 0 : -1;
    }
  }

  focus() {
    const item = this.#box.querySelector("[role=treeitem][tabindex='0']");
    item?.focus({ preventScroll: true });
    item?.querySelector(".part-card").scrollIntoView({ block: "nearest" });
  }

  get hasFocus() {
    return this.#box.contains(document.activeElement);
  }

  // Arrow keys, Home and End. Returns whether the key was one.
  steer(key) {
    const state = this.#state;
    const ids = state.all.map((one) => one.node.id);
    const at = ids.indexOf(state.chosen);
    const here = at < 0 ? null : state.find(state.chosen);
    const to = {
      ArrowDown: ids[Math.min(at + 1, ids.length - 1)],
      ArrowUp: ids[Math.max(at - 1, 0)],
      Home: ids[0],
      End: ids.at(-1),
      ArrowLeft: here && here.depth > 0 ? here.parent.id : undefined,
      ArrowRight: here?.node.children?.[0]?.id,
    };
    if (!(key in to)) return false;
    if (to[key] === undefined) return true;
    state.choose(to[key]);
    this.focus();
    return true;
  }

  #item(node, index, parent, level) {
    const said = this.#say(node);
    const item = el("li", {
      role: "treeitem", class: "part", "data-id": node.id, "data-type": node.data.type, "aria-level": level,
      "aria-posinset": index + 1, "aria-setsize": parent.children.length, "aria-label": said.words.join(", "),
      "aria-expanded": node.children ? "true" : null,
    });
    item.append(said.card);
    if (node.children) {
      const list = el("ul", { role: "group", class: "parts", "data-list": node.id });
      if (node.data.type === "columns") list.classList.add("beside", `beside-${Math.min(4, Math.max(2, Number(node.data.count) || 2))}`);
      list.append(...node.children.map((child, place) => this.#item(child, place, node, level + 1)));
      if (!node.children.length) {
        const none = el("li", { role: "none", class: "part-none" }, "Nothing in it yet. Add a component while it is chosen, or drop one here.");
        list.replaceChildren(none);
      }
      item.append(list);
    }
    return item;
  }

  #say(node) {
    const offer = this.#state.offers.get(node.data.type);
    const title = offer?.title ?? `Unknown component ${String(node.data.type ?? "")}`;
    const label = String(node.data.label || (typeof node.data.text === "string" ? node.data.text : "") || "").trim();
    const words = [title, ...(label ? [label] : [])];
    const badges = [];
    const badge = (text, kind = "") => {
      badges.push(el("span", { class: `badge ${kind}` }, text));
      words.push(text);
    };
    const found = this.problems.get(node.id)?.length ?? 0;
    if (found) badge(found === 1 ? "1 problem" : `${found} problems`, "danger");
    if (node.data.required === true) badge("required");
    for (const [which, before] of [["visible_if", "shown if"], ["required_if", "required if"]]) {
      if (node.data[which]) badge(`${before} ${sentence(node.data[which], this.#state, this.#words)}`, "is-long");
    }
    if (node.data.exclude === true) badge("not exported");
    const heading = el("span", { class: "part-label" }, label ? (label.length > 90 ? `${label.slice(0, 89)}…` : label) : title);
    const kind = el("span", { class: "part-kind" }, label ? title : (offer?.words ?? ""));
    const card = el(
      "div",
      { class: `part-card${found ? " is-wrong" : ""}` },
      el("span", { class: "grip", "aria-hidden": "true" }),
      el("span", { class: "part-words" }, heading, kind),
      el("code", { class: "part-name" }, String(node.data.name ?? "")),
      badges.length ? el("span", { class: "part-badges" }, ...badges) : null,
    );
    return { words, card };
  }
}
