// How this session goes: items against the person's own goal, and the offer of a break after so much active time. It interrupts
// nothing: it says so in a notice, and never takes the focus. Nobody else sees any of it.

import { openDialog } from "../page.js";
import { IDLE_MS } from "./clock.js";
import { announce, notify } from "./words.js";

const OVER_MS = 1_800_000; // after half an hour without work, the next item begins a new session
const RESTED_MS = 300_000; // five minutes away are a break, too
const LATER_MS = 600_000;
const KEEP_MS = 5_000;

export class Session {
  #shelf;
  #goal;
  #breakAfter;
  #rest;
  #now;
  #last = null;
  #keptAt = 0;
  #offer = null;
  #place = document.getElementById("goal");
  #dialog = document.getElementById("rest");
  #timer = 0;

  // rest: what to do when a break begins (time stands still, the draft is saved)
  constructor(shelf, { session_goal: goal, break_after: minutes }, rest) {
    this.#shelf = shelf;
    this.#goal = goal;
    this.#breakAfter = (minutes ?? 0) * 60_000;
    this.#rest = rest;
    const kept = shelf.get("now");
    const away = Date.now() - (kept?.at ?? 0);
    this.#now = kept && away < OVER_MS ? kept : { items: 0, times: [], worked: 0, wait: 0 };
    if (away >= RESTED_MS) this.#now.worked = 0;
    this.#dialog.addEventListener("close", () => this.#back());
    this.#show();
  }

  get resting() {
    return this.#dialog.open;
  }

  submitted(ms) {
    if (Date.now() - (this.#now.at ?? Date.now()) >= OVER_MS) this.#now = { ...this.#now, items: 0, times: [] };
    this.#now.items += 1;
    this.#now.times.push(ms);
    this.#keep();
    this.#show();
    if (this.#now.items === this.#goal) this.#reached();
  }

  // The last submission came back.
  retracted() {
    if (!this.#now.items) return;
    this.#now.items -= 1;
    this.#now.times.pop();
    this.#keep();
    this.#show();
  }

  // A sign of life.
  touch(now = performance.now()) {
    if (this.resting) return;
    const gap = this.#last === null ? 0 : now - this.#last;
    this.#last = now;
    if (gap >= RESTED_MS) this.#rested();
    else this.#now.worked += Math.min(gap, IDLE_MS);
    if (now - this.#keptAt > KEEP_MS) {
      this.#keptAt = now;
      this.#keep();
    }
    if (this.#breakAfter && !this.#offer && this.#now.worked >= this.#breakAfter + this.#now.wait) this.#offerBreak();
  }

  // The break was asked for: a dialog over the page, with nothing to do in it.
  begin() {
    this.#offer?.remove();
    this.#offer = null;
    this.#rest();
    const since = Date.now();
    const tell = () => {
      const seconds = Math.round((Date.now() - since) / 1000);
      this.#dialog.querySelector("[data-time]").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    };
    tell();
    this.#timer = setInterval(tell, 1000);
    openDialog(this.#dialog);
  }

  #back() {
    clearInterval(this.#timer);
    this.#last = null;
    this.#rested();
    announce("Back to work.");
  }

  #rested() {
    this.#now.worked = this.#now.wait = 0;
    this.#offer?.remove();
    this.#offer = null;
    this.#keep();
  }

  #offerBreak() {
    const words = `You have worked for ${Math.round(this.#now.worked / 60_000)} minutes. A short break is good for eyes and judgement; all that you have entered stays.`;
    const later = () => {
      this.#offer = null;
      this.#now.wait = this.#now.worked - this.#breakAfter + LATER_MS;
      this.#keep();
    };
    this.#offer = notify("", words, { stays: true, acts: [["Take a break", () => this.begin()]] });
    const close = this.#offer.querySelector("[data-dismiss]");
    close.textContent = "In 10 minutes";
    close.addEventListener("click", later);
  }

  #reached() {
    const { items, times } = this.#now;
    const minutes = Math.max(1, Math.round(times.reduce((sum, one) => sum + one, 0) / 60_000));
    const middle = [...times].sort((a, b) => a - b)[Math.floor((times.length - 1) / 2)] / 1000;
    const words = `Your goal is reached: ${items} ${items === 1 ? "item" : "items"} in ${minutes} min of active time, ${middle.toFixed(1)} s each in the middle. Thank you. Go on as long as you like.`;
    notify("good", words, { stays: true, acts: [["Take a break", () => this.begin()]] });
  }

  #show() {
    this.#place.hidden = !this.#goal;
    if (!this.#goal) return;
    const { items } = this.#now;
    const bar = this.#place.querySelector("progress");
    bar.max = this.#goal;
    bar.value = Math.min(items, this.#goal);
    this.#place.querySelector("span").textContent = `${items} of ${this.#goal}`;
  }

  #keep() {
    this.#shelf.set("now", { ...this.#now, at: (this.#now.at = Date.now()) });
  }
}
