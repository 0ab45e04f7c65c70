// The state of one ranking: places, ties, undo and redo. It knows no page, so that it can be tested alone.
//
// A ranking is a list of slots, best first; a slot holds the ids that share this place. While somebody works, slots may be
// empty (place 3 is given before place 2); an answer closes the gaps: [["c3"], ["c1", "c4"], ["c2"]].

const HISTORY = 200;

export class Ranking {
  #ids;
  #ties;
  #size;
  #states;
  #now = 0;

  // buckets: so many places that have names, however many images there are
  constructor(ids, { ties = true, levels = 9, buckets = 0 } = {}) {
    this.#ids = new Set(ids);
    this.#ties = ties;
    this.#size = buckets || Math.min(this.#ids.size, levels);
    this.#states = [{ slots: this.#empty(), last: null }];
  }

  get size() {
    return this.#size;
  }

  get slots() {
    return this.#state.slots;
  }

  get ties() {
    return this.#ties;
  }

  get canUndo() {
    return this.#now > 0;
  }

  get canRedo() {
    return this.#now < this.#states.length - 1;
  }

  get unranked() {
    return [...this.#ids].filter((id) => !this.placeOf(id));
  }

  // The answer: groups without gaps.
  get groups() {
    return this.slots.filter((slot) => slot.length).map((slot) => [...slot]);
  }

  // 1 is best; 0 is unranked.
  placeOf(id) {
    return this.slots.findIndex((slot) => slot.includes(id)) + 1;
  }

  tiedWith(id) {
    const place = this.placeOf(id);
    return place ? this.slots[place - 1].filter((other) => other !== id) : [];
  }

  // Start over from an answer, without history.
  load(groups) {
    const slots = this.#empty();
    const known = new Set();
    for (const [index, group] of (groups ?? []).slice(0, this.#size).entries()) {
      for (const id of group) {
        if (!this.#ids.has(id) || known.has(id)) continue;
        known.add(id);
        slots[index].push(id);
      }
    }
    this.#states = [{ slots, last: null }];
    this.#now = 0;
  }

  // The first free place; an image that has a place loses it. Every image in order is a ranking.
  next(id) {
    if (this.placeOf(id)) return this.remove(id);
    const free = this.slots.findIndex((slot) => !slot.length);
    if (free >= 0) return this.give(id, free + 1);
    return this.#ties && this.give(id, this.#size);
  }

  // Join the place of the image that was ranked last; pressed for that image itself, the place above it.
  tie(id) {
    if (!this.#ties) return false;
    let place = this.placeOf(this.#state.last) || this.#lastTaken(this.#size);
    if (place && place === this.placeOf(id)) place = this.#lastTaken(place - 1);
    return this.give(id, place || 1);
  }

  // Give a place; images that have it share it, or move down where ties are off.
  give(id, place) {
    if (!this.#ids.has(id) || place < 1 || place > this.#size) return false;
    const others = this.slots[place - 1].filter((other) => other !== id);
    if (others.length && !this.#ties) return this.insert(id, place);
    const slots = this.#without(id);
    slots[place - 1].push(id);
    return this.#commit(slots, id);
  }

  // Make a new place before `place` (size + 1: at the end). Its neighbours close the gap that this image leaves, or else
  // move towards the nearest free place; with no free place at all it is a tie.
  insert(id, place) {
    if (!this.#ids.has(id)) return false;
    const origin = this.placeOf(id);
    const slots = this.#without(id);
    let at = Math.min(Math.max(place, 1), this.#size + 1) - 1;
    let gap = origin && !slots[origin - 1].length ? origin - 1 : slots.findIndex((slot, index) => index >= at && !slot.length);
    if (gap < 0) gap = slots.findLastIndex((slot) => !slot.length);
    if (gap < 0) return this.#ties && this.give(id, Math.min(place, this.#size));
    slots.splice(gap, 1);
    if (gap < at) at -= 1;
    slots.splice(at, 0, [id]);
    return this.#commit(slots, id);
  }

  remove(id) {
    return this.placeOf(id) > 0 && this.#commit(this.#without(id), null);
  }

  undo() {
    if (!this.canUndo) return false;
    this.#now -= 1;
    return true;
  }

  redo() {
    if (!this.canRedo) return false;
    this.#now += 1;
    return true;
  }

  get #state() {
    return this.#states[this.#now];
  }

  #empty() {
    return Array.from({ length: this.#size }, () => []);
  }

  #without(id) {
    return this.slots.map((slot) => slot.filter((other) => other !== id));
  }

  #lastTaken(upTo) {
    return this.slots.slice(0, upTo).findLastIndex((slot) => slot.length) + 1;
  }

  #commit(slots, last) {
    if (JSON.stringify(slots) === JSON.stringify(this.slots)) return false;
    this.#states = [...this.#states.slice(0, this.#now + 1), { slots, last }].slice(-HISTORY);
    this.#now = this.#states.length - 1;
    return true;
  }
}
