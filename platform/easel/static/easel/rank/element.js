// <easel-ranking>: the strip of places under the images. It shows a Ranking, and lets chips and tiles be dragged onto it:
// onto a place to share it, between two places to make one. Everything that it does has a key as well (see main.js).

import { follow } from "../pointer.js";
import { Ranking } from "./ranking.js";

const DRAG_FROM_PX = 6;
const REACH_PX = 28; // how far above and below the strip a drop still counts
const SCROLL_EDGE_PX = 96;

export class EaselRanking extends HTMLElement {
  ranking = new Ranking([]);
  #candidates = new Map();
  #chips = new Map();
  #labels = [];
  #drag = null;
  #list = document.createElement("ol");

  connectedCallback() {
    if (this.#list.isConnected) return;
    this.#list.className = "slots";
    this.append(this.#list);
    this.addEventListener("pointerdown", (event) => {
      const chip = event.target.closest(".chip");
      if (chip) this.lift(event, chip.dataset.candidate);
    });
    this.addEventListener("click", (event) => {
      const slot = event.target.closest(".slot");
      const chip = event.target.closest(".chip");
      if (chip) this.#tell("easel-choose", { id: chip.dataset.candidate });
      else if (slot) this.#tell("easel-place", { place: Number(slot.dataset.place) });
    });
    this.addEventListener("dragstart", (event) => event.preventDefault());
  }

  // labels: names of the places, where they are buckets
  show(candidates, groups, { ties, levels, labels = [] }) {
    this.cancel();
    this.#labels = labels;
    this.#candidates = new Map(candidates.map((candidate) => [candidate.id, candidate]));
    this.#chips = new Map(candidates.map((candidate) => [candidate.id, chipOf(candidate)]));
    this.ranking = new Ranking(this.#candidates.keys(), { ties, levels, buckets: labels.length });
    this.ranking.load(groups);
    this.#grow();
    this.#render();
  }

  // Do one of the ranking's verbs; show it and tell it when it changed something.
  perform(verb, ...parameters) {
    const changed = this.ranking[verb](...parameters);
    if (changed) {
      this.#render();
      this.#tell("easel-change", { verb, id: parameters[0] });
    }
    return changed;
  }

  // Say in words where an image stands.
  describe(id) {
    const letter = this.#letter(id);
    const place = this.ranking.placeOf(id);
    if (!place) return `${letter}, not ranked`;
    const tied = this.ranking.tiedWith(id).map((other) => this.#letter(other));
    return `${letter}, place ${place}${tied.length ? `, tied with ${tied.join(", ")}` : ""}`;
  }

  // Label the places' buttons for the image that they would be given to.
  aim(candidate) {
    for (const slot of this.#list.children) {
      const name = this.#labels[slot.dataset.place - 1];
      const place = `Place ${slot.dataset.place}${name ? `, ${name}` : ""}`;
      const label = candidate ? `${place}: put image ${candidate.letter} here` : place;
      slot.querySelector(".slot-number").setAttribute("aria-label", label);
    }
  }

  // A pointer went down on a chip or on a tile: it becomes a drag once it moves.
  lift(event, id) {
    if (event.button !== 0 || !event.isPrimary || !this.#candidates.has(id)) return;
    this.cancel();
    const stop = follow({
      move: (event) => this.#move(event),
      end: (event) => this.#drop(event),
      cancel: () => this.cancel(),
      lifted: () => Boolean(this.#drag?.ghost),
    });
    this.#drag = { id, pointer: event.pointerId, x: event.clientX, y: event.clientY, ghost: null, target: null, stop, frame: 0 };
  }

  cancel() {
    const drag = this.#drag;
    if (!drag) return;
    this.#drag = null;
    drag.stop.abort();
    cancelAnimationFrame(drag.frame);
    if (!drag.ghost) return;
    if (this.hasPointerCapture(drag.pointer)) this.releasePointerCapture(drag.pointer);
    drag.ghost.remove();
    document.documentElement.classList.remove("is-dragging");
    this.#point(null);
  }

  #move(event) {
    const drag = this.#drag;
    if (event.pointerId !== drag.pointer) return;
    if (!drag.ghost) {
      if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < DRAG_FROM_PX) return;
      this.#begin(drag);
    }
    event.preventDefault();
    drag.x = event.clientX;
    drag.y = event.clientY;
    drag.ghost.style.transform = `translate(${drag.x}px, ${drag.y}px) translate(-50%, -50%)`;
    this.#point(this.#targetAt(drag.x, drag.y));
  }

  #begin(drag) {
    this.setPointerCapture(drag.pointer); // on the list: the moved chip may leave the page's tree
    drag.ghost = chipOf(this.#candidates.get(drag.id));
    drag.ghost.classList.add("ghost");
    this.append(drag.ghost);
    document.documentElement.classList.add("is-dragging");
    this.#chips.get(drag.id).classList.add("is-lifted");
    const scroll = () => {
      if (drag.y > innerHeight - SCROLL_EDGE_PX) scrollBy(0, 8);
      else if (drag.y < SCROLL_EDGE_PX) scrollBy(0, -8);
      drag.frame = requestAnimationFrame(scroll);
    };
    if (document.documentElement.scrollHeight > innerHeight) drag.frame = requestAnimationFrame(scroll);
  }

  #drop(event) {
    const drag = this.#drag;
    if (event.pointerId !== drag.pointer) return;
    const target = drag.ghost && this.#targetAt(event.clientX, event.clientY);
    const dragged = Boolean(drag.ghost);
    this.cancel();
    if (!dragged) return;
    if (event.pointerType === "mouse") swallowClick();
    if (target?.place) this.perform("give", drag.id, target.place);
    else if (target?.before) this.perform("insert", drag.id, target.before);
    else if (target?.out) this.perform("remove", drag.id);
  }

  // What a drop here would do: share or take a place, make one before another, or leave the ranking.
  #targetAt(x, y) {
    const { id } = this.#drag;
    const strip = this.#list.getBoundingClientRect();
    const near = x > strip.left - REACH_PX && x < strip.right + REACH_PX && y > strip.top - REACH_PX && y < strip.bottom + REACH_PX;
    if (near) return this.#slotAt(x, y, id);
    const tile = document.elementFromPoint(x, y)?.closest(".tile");
    const other = tile?.dataset.candidate;
    if (other && other !== id && this.ranking.placeOf(other) && this.ranking.ties) return { place: this.ranking.placeOf(other), tile };
    return this.ranking.placeOf(id) ? { out: true } : null;
  }

  #slotAt(x, y, id) {
    const slots = [...this.#list.children];
    const boxes = slots.map((slot) => slot.getBoundingClientRect());
    const away = boxes.map((box) => Math.hypot(x - clamp(x, box.left, box.right), y - clamp(y, box.top, box.bottom)));
    const index = away.indexOf(Math.min(...away));
    const box = boxes[index];
    const others = this.ranking.slots[index].some((one) => one !== id);
    const edge = this.ranking.ties ? Math.min(box.width / 4, REACH_PX) : box.width / 2;
    const [first, second] = getComputedStyle(this).direction === "rtl" ? [2, 1] : [1, 2];
    if (others && x < box.left + edge) return { before: index + first, slot: slots[index] };
    if (others && x > box.right - edge) return { before: index + second, slot: slots[index] };
    return { place: index + 1, slot: slots[index] };
  }

  #point(target) {
    for (const [index, slot] of [...this.#list.children].entries()) {
      const here = target?.slot === slot;
      slot.classList.toggle("is-target", here && Boolean(target.place));
      slot.classList.toggle("insert-before", here && target.before === index + 1);
      slot.classList.toggle("insert-after", here && target.before === index + 2);
    }
    for (const tile of document.querySelectorAll(".tile.is-target")) tile.classList.remove("is-target");
    target?.tile?.classList.add("is-target");
    if (!target) for (const chip of this.#chips.values()) chip.classList.remove("is-lifted");
  }

  #grow() {
    const part = document.getElementById("slot-part");
    while (this.#list.children.length < this.ranking.size) this.#list.append(part.content.cloneNode(true));
    while (this.#list.children.length > this.ranking.size) this.#list.lastElementChild.remove();
    for (const [index, slot] of [...this.#list.children].entries()) {
      slot.dataset.place = index + 1;
      slot.querySelector(".slot-number").textContent = this.#labels[index] ? `${index + 1} ${this.#labels[index]}` : index + 1;
      slot.classList.toggle("is-bucket", Boolean(this.#labels[index]));
    }
    this.aim(null);
  }

  #render() {
    for (const [index, ids] of this.ranking.slots.entries()) {
      const slot = this.#list.children[index];
      slot.classList.toggle("is-empty", !ids.length);
      slot.querySelector(".chips").replaceChildren(...ids.map((id) => this.#chips.get(id)));
    }
  }

  #letter(id) {
    return this.#candidates.get(id)?.letter ?? "?";
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
}

export function chipOf(candidate) {
  const chip = document.createElement("span");
  chip.className = "chip";
  chip.dataset.candidate = candidate.id;
  const image = new Image();
  image.alt = "";
  image.draggable = false;
  image.src = candidate.url;
  const letter = document.createElement("b");
  letter.textContent = candidate.letter;
  chip.append(image, letter);
  return chip;
}

// The click that follows a mouse's drag presses nothing.
function swallowClick() {
  const swallow = (click) => click.stopPropagation();
  addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", swallow, { capture: true }), 50);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

customElements.define("easel-ranking", EaselRanking);
