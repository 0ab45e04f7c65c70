// The right order of an item's images: the strip of the ranking page, over the places that the form sends.
// Without this module the places are chosen one by one; with it, letters, drags and undo work as annotators know them.

import "../rank/element.js";

const form = document.querySelector(".gold-form");
const strip = form?.querySelector("easel-ranking");

if (strip) {
  const status = form.querySelector("[data-status]");
  const figures = [...form.querySelectorAll("[data-image]")];
  const places = new Map(figures.map((figure) => [figure.dataset.image, figure.querySelector("select")]));
  const candidates = figures.map((figure) => ({
    id: figure.dataset.image,
    letter: figure.dataset.letter,
    url: figure.querySelector("img").src,
    width: figure.querySelector("img").width,
    height: figure.querySelector("img").height,
  }));
  const idOf = (letter) => candidates.find((one) => one.letter === letter.toUpperCase())?.id;

  const chosen = () => {
    const groups = candidates.map(() => []);
    for (const [id, select] of places) if (select.value) groups[Number(select.value) - 1].push(id);
    return groups;
  };
  const say = (id) => (status.textContent = id ? `${strip.describe(id)}.` : "");

  form.querySelector(".gold-strip").hidden = false;
  strip.show(candidates, chosen(), { ties: true, levels: candidates.length });

  strip.addEventListener("easel-change", (event) => {
    for (const [id, select] of places) select.value = strip.ranking.placeOf(id) || "";
    say(event.detail.id);
  });
  form.addEventListener("change", (event) => {
    if (![...places.values()].includes(event.target)) return;
    const id = event.target.closest("[data-image]").dataset.image;
    if (event.target.value) strip.perform("give", id, Number(event.target.value));
    else strip.perform("remove", id);
  });
  // A chip that is clicked is chosen; the next click on a place puts it there.
  let held = null;
  strip.addEventListener("easel-choose", (event) => {
    held = event.detail.id;
    strip.aim(candidates.find((one) => one.id === held));
  });
  strip.addEventListener("easel-place", (event) => {
    if (held) strip.perform("give", held, event.detail.place);
    held = null;
    strip.aim(null);
  });
  for (const figure of figures) {
    figure.querySelector(".image-box").addEventListener("pointerdown", (event) => strip.lift(event, figure.dataset.image));
  }
  form.addEventListener("dragstart", (event) => event.preventDefault()); // the browser's own drag of an image would end ours
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select, textarea, dialog[open]")) return;
    const id = event.key.length === 1 && /[a-z]/i.test(event.key) ? idOf(event.key) : null;
    if (id) strip.perform(event.shiftKey ? "tie" : "next", id);
    else if (event.key.toLowerCase() === "z") strip.perform("undo");
    else return;
    event.preventDefault();
  });
}
