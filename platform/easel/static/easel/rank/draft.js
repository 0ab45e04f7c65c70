// Saves what was entered within two seconds of a change: at once in this browser, after a second on the server. A draft names the
// version it started from; when another tab has saved a newer one the server refuses, and the person decides.

import { Unreachable } from "./api.js";

const SAVE_AFTER_MS = 1_000;
const RETRY_AFTER_MS = 5_000;

export class Draft extends EventTarget {
  #api;
  #shelf;
  #id;
  #version;
  #read;
  #timer = 0;
  #dirty = false;
  #saving = null;
  #stopped = false;
  #tried = new Set(); // what was sent since the last answer: the server may have it although no answer came
  savedAt = 0;
  state = ""; // "", "unsaved", "saved", "local": kept in this browser, the server did not take it
  newer = null; // the draft of another tab, while the person has not decided

  // read: () => ({ answers, active_ms }) as they are now
  constructor(api, shelf, assignment, read) {
    super();
    this.#api = api;
    this.#shelf = shelf;
    this.#id = assignment.id;
    this.#version = assignment.draft?.version ?? 0;
    this.#read = read;
  }

  // What to start from: this browser's copy where it is later than the server's, else the server's.
  static restore(assignment, shelf) {
    const version = assignment.draft?.version ?? 0;
    const local = shelf.get(assignment.id);
    const fits = local && local.version === version;
    return {
      answers: (fits ? local.answers : assignment.draft?.answers) ?? {},
      active_ms: local?.active_ms ?? 0,
      unsaved: Boolean(fits && local.unsaved),
    };
  }

  change() {
    if (this.#stopped) return;
    this.#dirty = true;
    this.#keep(true);
    if (!this.newer) this.#schedule(SAVE_AFTER_MS);
    this.#show("unsaved");
  }

  async save({ keepalive = false } = {}) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#stopped || this.newer || !this.#dirty) return;
    if (this.#saving) return this.#schedule(SAVE_AFTER_MS);
    this.#dirty = false;
    const body = { answers: this.#read().answers, version: this.#version };
    this.#tried.add(inOrder(body.answers));
    this.#saving = this.#api.send("PUT", `assignments/${this.#id}/draft/`, body, { keepalive });
    try {
      this.#settle(await this.#saving);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      this.#retry();
    } finally {
      this.#saving = null;
    }
  }

  // The person's decision about `newer`.
  decide(mine) {
    this.#version = this.newer.version;
    const newer = this.newer;
    this.newer = null;
    this.#dirty = mine;
    this.#keep(mine);
    if (mine) this.save();
    return newer;
  }

  // The item is submitted or skipped: nothing is saved any more.
  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  // The server has the answers, or the item is somebody else's: the local copy has done its work.
  forget() {
    this.stop();
    this.#shelf.delete(this.#id);
  }

  resume() {
    this.#stopped = false;
    this.change();
  }

  // The server has taken the assignment up again, with the draft of this version: go on from there.
  restart(version) {
    this.#version = version;
    this.resume();
  }

  #settle({ status, body }) {
    if (this.#stopped) return;
    if (status === 200) {
      this.#version = body.version;
      this.#tried.clear();
      this.savedAt = Date.now();
      this.#keep(this.#dirty);
      this.#show(this.#dirty ? "unsaved" : "saved");
    } else if (status === 409 && body?.code === "stale_draft" && this.#tried.has(inOrder(body.draft.answers))) {
      this.#version = body.draft.version; // it is this tab's own, whose answer was lost on the way
      this.#dirty = true;
      this.#schedule(0);
    } else if (status === 409 && body?.code === "stale_draft") {
      this.#dirty = true;
      this.newer = body.draft;
      this.dispatchEvent(new Event("stale"));
    } else if (status === 409) {
      this.stop();
      this.dispatchEvent(new CustomEvent("finished", { detail: body?.detail ?? "" }));
    } else {
      this.#retry();
    }
  }

  #retry() {
    this.#dirty = true;
    this.#schedule(RETRY_AFTER_MS);
    this.#show("local");
  }

  #schedule(ms) {
    if (!this.#timer) this.#timer = setTimeout(() => this.save(), ms);
  }

  #keep(unsaved) {
    this.#shelf.set(this.#id, { ...this.#read(), version: this.#version, unsaved, at: Date.now() });
  }

  #show(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

// One text for the same answers, in whatever order their names come back from the server.
function inOrder(answers) {
  return JSON.stringify(answers, (_, value) => (value && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort()) : value));
}
