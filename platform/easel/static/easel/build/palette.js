// The components at the left: chosen by mouse, finger or keys, found by typing.

import { el } from "./dom.js";

const GROUPS = { inputs: "Inputs", generation: "Generation", media: "Media", judgement: "Judgement", layout: "Layout" };

export function buildPalette(palette, { list, filter, none, add }) {
  for (const group of palette.groups) {
    const offered = palette.components.filter((one) => one.group === group);
    const items = offered.map((one) =>
      el(
        "li",
        {},
        el(
          "button",
          { type: "button", class: "offer", "data-type": one.type, "data-words": `${one.title} ${one.type} ${one.words} ${group}`.toLowerCase() },
          el("span", { class: "offer-words" }, el("span", { class: "offer-title" }, one.title), el("span", { class: "offer-line" }, one.words)),
          el("span", { class: "grip", "aria-hidden": "true" }),
        ),
      ),
    );
    const head = el("h3", { id: `offers-${group}` }, GROUPS[group] ?? group);
    list.append(el("section", { class: "offers" }, head, el("ul", { "aria-labelledby": `offers-${group}` }, ...items)));
  }
  const offers = [...list.querySelectorAll(".offer")];
  const shown = () => offers.filter((one) => !one.closest("li").hidden);
  // What Enter adds: the one whose title begins as it was typed, else the first in view.
  const next = () => {
    const wanted = filter.value.trim().toLowerCase();
    return wanted ? (shown().find((one) => one.dataset.words.startsWith(wanted)) ?? shown()[0]) : undefined;
  };

  // One of them is in the order of the Tab key; arrows go through the others.
  const reach = (wanted) => {
    const one = wanted ?? shown()[0];
    for (const other of offers) other.tabIndex = other === one ? 0 : -1;
  };
  list.addEventListener("focusin", (event) => event.target.matches(".offer") && reach(event.target));
  reach();

  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const one of offers) one.closest("li").hidden = !wanted.every((word) => one.dataset.words.includes(word));
    for (const section of list.children) section.hidden = !section.querySelector("li:not([hidden])");
    none.hidden = shown().length > 0;
    for (const one of offers) one.classList.toggle("is-next", one === next());
    reach();
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && next()) {
      event.preventDefault();
      add(next().dataset.type);
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      shown()[0]?.focus();
    } else if (event.key === "Escape" && filter.value) {
      event.stopPropagation();
      filter.value = "";
      filter.dispatchEvent(new Event("input"));
    }
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches(".offer")) return;
    event.preventDefault();
    const all = shown();
    const to = all.indexOf(event.target) + step;
    if (to < 0) filter.focus();
    else all[to]?.focus();
  });
  list.addEventListener("click", (event) => {
    const offer = event.target.closest(".offer");
    if (offer) add(offer.dataset.type);
  });
}
