import { Field } from "../../form/field.js";
import "../../rank/element.js";

// The strip of places. It judges: letters and digits on the page come here.
export default class extends Field {
  judges = true;

  constructor(section, component) {
    super(section, component);
    this.element = section.querySelector("easel-ranking");
  }

  get buckets() {
    return this.component.buckets.length > 0;
  }

  get size() {
    return this.element.ranking.size;
  }

  get canUndo() {
    return this.element.ranking.canUndo;
  }

  get canRedo() {
    return this.element.ranking.canRedo;
  }

  show(answer, work) {
    const { ties, levels, buckets } = this.component;
    this.work = work;
    this.element.show(work.candidates, answer, { ties: ties || buckets.length > 0, levels, labels: buckets });
  }

  read() {
    const { groups, slots } = this.element.ranking;
    if (!groups.length) return undefined;
    return this.buckets ? slots.map((slot) => [...slot]) : groups;
  }

  isMissing(answers) {
    return answers[this.name] === undefined && !Object.values(answers).includes(true);
  }

  missing(form) {
    const other = form.fields.find((field) => field.type === "all_bad");
    return `“${this.label}” has no image yet. Press the letters of the images, best first${other ? `, or tick “${other.label}”` : ""}.`;
  }

  check(answer) {
    const { unranked } = this.element.ranking;
    if (answer === undefined || this.component.partial || !unranked.length) return "";
    const letters = unranked.map((id) => this.element.describe(id)[0]).join(", ");
    return `“${this.label}” misses ${letters}. Give every image a place; equal ones can share one.`;
  }

  // A letter: the next place, or with Shift a tie with the image ranked last; into a bucket, the next one down.
  press(id, tie) {
    if (this.buckets) {
      const place = this.element.ranking.placeOf(id);
      return void (place < this.size ? this.element.perform("give", id, place + 1) : this.element.perform("remove", id));
    }
    if (this.element.perform(tie ? "tie" : "next", id)) return "";
    return tie && !this.element.ranking.ties ? "Ties are off in this form." : `${this.element.describe(id)}.`;
  }

  give(id, place) {
    if (place > this.size) return `There are ${this.size} places.`;
    if (place === 0) this.element.perform("remove", id);
    else this.element.perform("give", id, place);
    return "";
  }

  undo() {
    return this.#step("undo", "Undone");
  }

  redo() {
    return this.#step("redo", "Redone");
  }

  #step(verb, word) {
    const before = this.element.ranking.slots;
    if (!this.element.perform(verb)) return "";
    const placeIn = (slots, id) => slots.findIndex((slot) => slot.includes(id)) + 1;
    const moved = this.work.candidates.filter(({ id }) => placeIn(before, id) !== this.element.ranking.placeOf(id));
    return `${word}. ${moved.map(({ id }) => this.element.describe(id)).join("; ")}.`;
  }

  // Where an image stands: for its tile, for the enlarged view, and in words.
  standing(id) {
    const place = this.element.ranking.placeOf(id);
    if (!place) return { place: 0, words: "", said: "not ranked" };
    const tied = this.element.ranking.tiedWith(id).map((other) => this.element.describe(other)[0]);
    const bucket = this.component.buckets[place - 1];
    const words = bucket ?? (tied.length ? `tie with ${tied.join(", ")}` : place === 1 ? "best" : "");
    return { place, words, said: `place ${place}${bucket ? `, ${bucket}` : tied.length ? `, tied with ${tied.join(", ")}` : ""}` };
  }

  describe(id) {
    return this.element.describe(id);
  }

  aim(candidate) {
    this.element.aim(candidate);
  }

  lift(event, id) {
    this.element.lift(event, id);
  }

  focus() {}
}
