// The items that are leased and fetched ahead: asked for while there are too few, kept by a beat, and given to the page in order.

import { Unreachable } from "./api.js";
import { notify, state } from "./words.js";

const POLL_MS = 10_000;
const BLOCKED_POLL_MS = 30_000;
const MOST_HELD = 10; // as many as the API takes
const AHEAD_UNSTEADY = 3; // where the connection has gone before, more is fetched ahead
const BLOCKED = { paused: "paused", limit_reached: "limit" }; // a refusal's code -> the state of the page

const $ = (id) => document.getElementById(id);

export class Leases {
  #api;
  #project;
  #outbox;
  #live;
  #page;
  #queue = []; // Works
  #leasing = false;
  #exhausted = false;
  #blocked = ""; // the state of the page where nothing more is given out
  #ahead = 1;
  #timer = 0;

  // page: current(), busy(): something is shown that no new item may push away, done(id), workOf(assignment), show(work)
  constructor({ api, project, outbox, live, page }) {
    this.#api = api;
    this.#project = project;
    this.#outbox = outbox;
    this.#live = live;
    this.#page = page;
  }

  get #works() {
    return [this.#page.current(), ...this.#queue].filter(Boolean);
  }

  // The assignments that are here already.
  get held() {
    const waiting = this.#outbox.entries.filter((entry) => entry.project === this.#project).map((entry) => entry.assignment);
    return [...new Set(this.#works.map((work) => work.id).concat(waiting))].slice(0, MOST_HELD);
  }

  get short() {
    return this.#queue.length < this.#ahead;
  }

  // What the page says while there is no item.
  get state() {
    if (this.#outbox.trouble === "offline") return "offline";
    if (!this.#exhausted || this.#outbox.size) return "loading";
    return this.#blocked || "nothing";
  }

  next() {
    return this.#queue.shift();
  }

  putBack(work) {
    this.#queue.unshift(work);
  }

  unsteady() {
    this.#ahead = AHEAD_UNSTEADY;
  }

  // Ask for an item while there are too few here.
  async lease({ waiting = false } = {}) {
    if ((this.#live && !waiting) || this.#leasing || !this.short || document.hidden) return;
    this.#leasing = true;
    clearTimeout(this.#timer);
    try {
      const { status, body } = await this.#api.send("POST", `projects/${this.#project}/assignments/`, { holding: this.held });
      if (status === 201) this.receive(body);
      else if (status === 204) this.#nothing();
      else this.#problem(status, body);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      if (!this.#page.busy()) state("offline");
      this.poll();
    } finally {
      this.#leasing = false;
    }
    if (this.#page.current() && this.short && !this.#exhausted) this.poll(0);
  }

  poll(wait = this.#blocked ? BLOCKED_POLL_MS : POLL_MS) {
    if (this.#live) return; // what there is to do, the annotator asks for
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.lease(), wait);
  }

  // After an answer: the next one soon, or now and then where there was none.
  more() {
    if (!this.#page.current() || this.short) this.poll(this.#exhausted ? undefined : 0);
  }

  receive(assignment, blocked = null) {
    if (!assignment) return blocked ? this.#problem(403, blocked) : this.#live ? undefined : this.#nothing();
    const known = this.#page.done(assignment.id) || this.#outbox.has(assignment.id) || this.held.includes(assignment.id);
    if (known) return this.poll(1_000);
    this.#exhausted = false;
    this.#blocked = "";
    const work = this.#page.workOf(assignment);
    if (this.#page.busy()) this.#queue.push(work);
    else this.#page.show(work);
  }

  // Keep the leases while somebody is here.
  async beat() {
    for (const work of this.#works) {
      try {
        const { status, body } = await this.#api.send("PUT", `assignments/${work.id}/heartbeat/`);
        if (status === 409 && body?.code === "lease_lost") this.#lost(work, body.detail);
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
      }
    }
  }

  #nothing() {
    this.#exhausted = true;
    this.#blocked = "";
    if (!this.#page.busy()) state("nothing");
    this.poll();
  }

  #problem(status, body) {
    const blocked = status === 403 && BLOCKED[body?.code];
    if (blocked) {
      this.#exhausted = true;
      this.#blocked = blocked;
      $(`${blocked}-words`).textContent = body.detail;
      if (!this.#page.busy()) state(blocked);
      return this.poll();
    }
    $("problem").textContent =
      status === 401
        ? "You are signed out. Reload the page to sign in again; what you submitted is kept."
        : (body?.detail ?? `The server answered with error ${status}. It is not your doing.`);
    if (!this.#page.busy()) state("problem");
    if (status >= 500 || status === 429) this.poll();
  }

  #lost(work, detail) {
    if (work !== this.#page.current()) {
      this.#queue = this.#queue.filter((other) => other !== work);
      this.poll(0);
    } else if (!work.lost) {
      work.lost = true;
      notify("warning", detail);
    }
  }
}
