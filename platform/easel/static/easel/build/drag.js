// Dragging with mouse, pen or finger, from the palette and within the form. A line shows where it will stand. A mouse drags by the
// whole card, a finger by its handle, so that the other fingers' work, scrolling, stays. Every drag has a key as well.

import { follow } from "../pointer.js";
import { el } from "./dom.js";
import { ROOT, height, holds, nodeOf } from "./tree.js";

const DRAG_FROM_PX = 6;
const EDGE_PX = 10; // of a layout component's upper and lower end: there it is before or behind, not inside
const SCROLL_EDGE_PX = 56;
const SCROLL_PX = 14;

export class Dragging {
  #state;
  #box;
  #scroller;
  #line = el("div", { class: "drop-line", hidden: true });
  #drag = null;

  // box: the tree. scroller: what scrolls around it. drop(what, where): what is { id } or { type }.
  constructor(state, { box, scroller, palette, drop, refuse }) {
    this.#state = state;
    this.#box = box;
    this.#scroller = scroller;
    this.drop = drop;
    this.refuse = refuse;
    scroller.append(this.#line);
    box.addEventListener("pointerdown", (event) => {
      const item = event.target.closest("[role=treeitem]");
      if (item) this.#lift(event, { id: Number(item.dataset.id) });
    });
    palette.addEventListener("pointerdown", (event) => {
      const offer = event.target.closest(".offer");
      if (offer) this.#lift(event, { type: offer.dataset.type });
    });
    for (const one of [box, palette]) one.addEventListener("dragstart", (event) => event.preventDefault());
  }

  get active() {
    return Boolean(this.#drag?.ghost);
  }

  #lift(event, what) {
    if (event.button !== 0 || !event.isPrimary) return;
    if (event.pointerType === "touch" && !event.target.closest(".grip")) return;
    this.cancel();
    const stop = follow({
      move: (event) => this.#move(event),
      end: (event) => this.#end(event),
      cancel: () => this.cancel(),
      lifted: () => Boolean(this.#drag?.ghost),
    });
    this.#drag = { what, pointer: event.pointerId, x: event.clientX, y: event.clientY, ghost: null, where: null, why: "", frame: 0, stop };
  }

  cancel() {
    const drag = this.#drag;
    if (!drag) return;
    this.#drag = null;
    drag.stop.abort();
    cancelAnimationFrame(drag.frame);
    drag.ghost?.remove();
    this.#line.hidden = true;
    document.documentElement.classList.remove("is-dragging");
    for (const one of document.querySelectorAll(".is-lifted, .is-target")) one.classList.remove("is-lifted", "is-target");
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
    this.#aim(drag);
  }

  #begin(drag) {
    const { id, type } = drag.what;
    const node = id === undefined ? null : this.#state.find(id).node;
    drag.node = node ?? nodeOf(this.#state.offers.get(type).defaults, this.#state.kinds);
    drag.ghost = el("div", { class: "drag-ghost" }, node ? this.#state.titleOf(node) : this.#state.offers.get(type).title);
    document.body.append(drag.ghost);
    document.documentElement.classList.add("is-dragging");
    if (node) this.#itemOf(id)?.classList.add("is-lifted");
    const roll = () => {
      this.#scroll(drag);
      drag.frame = requestAnimationFrame(roll);
    };
    drag.frame = requestAnimationFrame(roll);
  }

  // The form scrolls while something is held at its edge.
  #scroll(drag) {
    const box = this.#scroller.getBoundingClientRect();
    if (drag.x < box.left || drag.x > box.right) return;
    const up = drag.y < box.top + SCROLL_EDGE_PX;
    const down = drag.y > box.bottom - SCROLL_EDGE_PX;
    if (!up && !down) return;
    const before = this.#scroller.scrollTop;
    this.#scroller.scrollBy(0, up ? -SCROLL_PX : SCROLL_PX);
    if (this.#scroller.scrollTop !== before) this.#aim(drag);
  }

  #aim(drag) {
    drag.ghost.style.transform = `translate(${drag.x + 12}px, ${drag.y + 8}px)`;
    for (const one of document.querySelectorAll(".is-target")) one.classList.remove("is-target");
    const found = this.#targetAt(drag);
    drag.where = found?.where ?? null;
    drag.why = found?.why ?? "";
    drag.ghost.classList.toggle("is-refused", Boolean(found?.why));
    this.#show(found);
  }

  #end(event) {
    const drag = this.#drag;
    if (event.pointerId !== drag.pointer) return;
    if (!drag.ghost) return this.cancel();
    event.preventDefault();
    const { what, where, why } = drag;
    this.cancel();
    swallowClick();
    if (where) this.drop(what, where);
    else if (why) this.refuse(why);
  }

  // Where a drop would go: the innermost list under the pointer that takes it.
  #targetAt(drag) {
    const outer = this.#scroller.getBoundingClientRect();
    if (drag.x < outer.left || drag.x > outer.right || drag.y < outer.top || drag.y > outer.bottom) return null;
    const lists = [{ list: this.#box, parent: ROOT }];
    for (;;) {
      const inner = this.#innerAt(lists.at(-1), drag);
      if (!inner) break;
      lists.push(inner);
    }
    let why = "";
    for (const { list, parent } of lists.toReversed()) {
      const node = this.#state.find(parent).node;
      if (drag.what.id !== undefined && parent !== ROOT && holds(drag.node, parent)) {
        why ||= "A component cannot be put into itself.";
        continue;
      }
      const refused = this.#state.refusal(node, drag.node.data.type, height(drag.node));
      if (refused) why ||= refused;
      else return { where: { parent, index: this.#indexIn(list, drag) }, list };
    }
    return { where: null, why };
  }

  #innerAt({ list }, drag) {
    for (const item of list.querySelectorAll(":scope > .part")) {
      const box = item.getBoundingClientRect();
      const inner = item.querySelector(":scope > .parts");
      if (!inner || drag.x < box.left || drag.x > box.right || drag.y > box.bottom - EDGE_PX) continue;
      if (drag.y >= inner.getBoundingClientRect().top - 2) return { list: inner, parent: Number(inner.dataset.list) };
    }
    return null;
  }

  // The place before the first card whose middle the pointer has not passed; in columns cards stand beside each other.
  #indexIn(list, drag) {
    const items = [...list.querySelectorAll(":scope > .part")];
    const beside = list.classList.contains("beside");
    for (const [index, item] of items.entries()) {
      const box = item.getBoundingClientRect();
      if (beside && drag.y > box.bottom) continue;
      if (beside ? drag.y < box.top || drag.x < box.left + box.width / 2 : drag.y < box.top + box.height / 2) return index;
    }
    return items.length;
  }

  #show(found) {
    this.#line.hidden = !found?.where;
    if (!found?.where) return;
    const { list, where } = found;
    list.classList.add("is-target");
    const items = [...list.querySelectorAll(":scope > .part")];
    const frame = this.#scroller.getBoundingClientRect();
    const at = list.getBoundingClientRect();
    const beside = list.classList.contains("beside");
    const [next, previous] = [items[where.index]?.getBoundingClientRect(), items[where.index - 1]?.getBoundingClientRect()];
    const place = (left, top, width, tall) => {
      Object.assign(this.#line.style, {
        left: `${left - frame.left + this.#scroller.scrollLeft}px`,
        top: `${top - frame.top + this.#scroller.scrollTop}px`,
        width: `${width}px`,
        height: `${tall}px`,
      });
    };
    const by = next ?? previous;
    if (!by) place(at.left + 4, at.top + at.height / 2 - 1, at.width - 8, 3);
    else if (beside) place((next ? next.left : previous.right) - 2, by.top, 3, by.height);
    else place(at.left, next && previous ? (previous.bottom + next.top) / 2 - 1 : next ? next.top - 4 : previous.bottom + 2, at.width, 3);
  }

  #itemOf(id) {
    return this.#box.querySelector(`.part[data-id="${id}"]`);
  }
}

// The click that follows a mouse's drag presses nothing.
function swallowClick() {
  const swallow = (click) => {
    click.stopPropagation();
    click.preventDefault();
  };
  addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", swallow, { capture: true }), 50);
}
