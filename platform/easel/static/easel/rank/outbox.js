// Submitted answers on their way to the server. Each is kept in storage until the server has it, one is sent at a time, oldest
// first, and a failed one is tried again. The assignment is the key: sending twice stores once.

import { Unreachable } from "./api.js";

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 8_000; // so that all have sent again within ten seconds of an outage's end

export class Outbox extends EventTarget {
  #api;
  #shelf;
  #holding;
  #sending = false;
  #under = null; // the assignment that is being sent, and until when
  #failures = 0;
  #timer = 0;
  trouble = ""; // "", "offline", "server" or "signed-out": why the queue is not moving

  constructor(api, shelf, holding) {
    super();
    this.#api = api;
    this.#shelf = shelf;
    this.#holding = holding;
    addEventListener("online", () => this.flush());
  }

  get entries() {
    return this.#shelf.values.sort((a, b) => a.at - b.at);
  }

  get size() {
    return this.#shelf.names.length;
  }

  has(assignment) {
    return this.#shelf.get(assignment) !== null;
  }

  // entry: { assignment, project, kind: "annotation" | "skip", body, at }
  add(entry) {
    this.#shelf.set(entry.assignment, entry);
    this.#changed();
    this.flush();
  }

  // Take an entry out again, before the server has it; null where it has. What is being sent right now is awaited first.
  async take(assignment) {
    if (this.#under?.assignment === assignment) await this.#under.sent;
    const entry = this.#shelf.get(assignment);
    if (!entry) return null;
    this.#shelf.delete(assignment);
    this.#changed();
    return entry;
  }

  // Send what is waiting. Each answer of the server is an "answer" event with { entry, status, body }.
  async flush() {
    if (this.#sending) return;
    this.#sending = true;
    clearTimeout(this.#timer);
    try {
      for (let entry = this.entries[0]; entry; entry = this.entries[0]) {
        const sent = this.#send(entry);
        this.#under = { assignment: entry.assignment, sent };
        if (!(await sent)) break;
      }
    } finally {
      this.#sending = false;
      this.#under = null;
    }
    if (this.size) {
      const wait = Math.min(FIRST_WAIT_MS * 2 ** (this.#failures - 1), LONGEST_WAIT_MS);
      this.#timer = setTimeout(() => this.flush(), wait * (0.75 + Math.random() / 2));
    }
  }

  // Returns whether the server took or refused the entry for good.
  async #send(entry) {
    const path = `assignments/${entry.assignment}/${entry.kind}/`;
    const body = { ...entry.body, holding: this.#holding(entry) };
    let answer;
    try {
      answer = await this.#api.send(entry.kind === "skip" ? "POST" : "PUT", path, body);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      return this.#failed("offline");
    }
    if (answer.status >= 500 || answer.status === 429 || answer.status === 408) return this.#failed("server");
    if (answer.status === 401 || (answer.status === 403 && answer.body?.code !== "forbidden")) return this.#failed("signed-out");
    this.#failures = 0;
    this.trouble = "";
    this.#shelf.delete(entry.assignment);
    this.#changed();
    this.dispatchEvent(new CustomEvent("answer", { detail: { entry, ...answer } }));
    return true;
  }

  #failed(trouble) {
    this.#failures += 1;
    this.trouble = trouble;
    this.#changed();
    return false;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
