// What is wrong with the form, as the server said of the draft that it saved: a list that leads to the place, and marks on the cards.

import { el } from "./dom.js";
import { ROOT, resolve } from "./tree.js";

// Returns the problems by component: { node id → [{ rest, message }] }, where `root` is the form that they were said of.
export function byComponent(root, problems) {
  const found = new Map();
  for (const { place, message } of problems) {
    const { node, rest } = resolve(root, place);
    found.set(node.id, [...(found.get(node.id) ?? []), { rest, message }]);
  }
  return found;
}

export function listProblems(state, found, { head, list, go }) {
  const known = [...found].filter(([id]) => id === ROOT || state.find(id));
  const number = known.reduce((sum, [, messages]) => sum + messages.length, 0);
  head.textContent = number ? `Problems: ${number}` : "Problems: none";
  head.classList.toggle("is-wrong", number > 0);
  list.replaceChildren(
    ...known.flatMap(([id, messages]) =>
      messages.map(({ rest, message }) => {
        const whole = id === ROOT;
        const where = whole ? "The form" : state.titleOf(state.find(id).node);
        const words = `${where} ${rest.length && !whole ? `(${rest.join(" ")}) ` : ""}${message}`;
        return el("li", {}, whole ? el("p", {}, words) : el("button", { type: "button", class: "problem", onclick: () => go(id, rest) }, words));
      }),
    ),
  );
  return number;
}
