// Saves the draft 0.8 s after a change: at once in this browser, then on the server. A save names the draft that it started from;
// where another tab or person has saved since, the server refuses, and the person decides.

import { Unreachable } from "../rank/api.js";

const SAVE_AFTER_MS = 800;
const RETRY_AFTER_MS = 4_000;
const KEEPALIVE_BYTES = 60_000; // browsers refuse more from a page that is being left

export class Saving extends EventTarget {
  #api;
  #shelf;
  #id;
  #read;
  #timer = 0;
  #saving = null;
  #dirty = false;
  version;
  state = "saved"; // saved, unsaved, saving, offline, refused
  why = ""; // of refused: what the server said
  savedAt = 0;
  newer = null; // the draft of another tab or person, while nobody has decided

  // read: () => definition as it is now
  constructor(api, shelf, template, draft, read) {
    super();
    this.#api = api;
    this.#shelf = shelf;
    this.#id = template;
    this.#read = read;
    this.version = draft.version;
    addEventListener("online", () => this.#dirty && this.save());
    addEventListener("pagehide", () => this.save({ leaving: true }));
    document.addEventListener("visibilitychange", () => document.hidden && this.save({ leaving: true }));
  }

  // What this browser kept and the server has not: { definition, version }, or null.
  static kept(shelf, template) {
    const local = shelf.get(template);
    return local?.unsaved && local.definition ? local : null;
  }

  get isSaved() {
    return !this.#dirty && !this.#saving;
  }

  change() {
    this.#dirty = true;
    this.#keep();
    if (!this.newer) this.#schedule(SAVE_AFTER_MS, true);
    this.#show("unsaved");
  }

  // Saves what is unsaved; answers once it is saved, or refused.
  async save({ leaving = false } = {}) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#saving) await this.#saving;
    if (this.newer || !this.#dirty) return;
    const definition = this.#read();
    const body = { definition, version: this.version };
    if (leaving && JSON.stringify(body).length > KEEPALIVE_BYTES) return;
    this.#dirty = false;
    this.#saving = this.#send(body, leaving);
    this.#show("saving");
    await this.#saving;
  }

  async #send(body, leaving) {
    try {
      const answer = await this.#api.send("PUT", `templates/${this.#id}/draft/`, body, { keepalive: leaving });
      this.#saving = null;
      this.#settle(answer, body.definition);
    } catch (error) {
      this.#saving = null;
      if (!(error instanceof Unreachable)) throw error;
      this.#retry("offline");
    }
  }

  // The person's decision about `newer`: overwrite it with mine, or not.
  decide(mine) {
    const { newer } = this;
    this.newer = null;
    this.version = newer.version;
    this.#dirty = mine;
    this.#keep();
    if (mine) this.save();
    else this.#settled();
    return newer;
  }

  // A draft of this browser was taken up that the server does not have.
  meet(newer) {
    this.newer = newer;
    this.#dirty = true;
    this.dispatchEvent(new Event("stale"));
  }

  #settle({ status, body }, definition) {
    if (status === 200) {
      this.version = body.version;
      this.#keep();
      this.dispatchEvent(new CustomEvent("problems", { detail: { definition, problems: body.problems } }));
      if (this.#dirty) this.#schedule(SAVE_AFTER_MS);
      else this.#settled();
    } else if (status === 409 && body?.code === "stale_draft") {
      this.#dirty = true;
      this.newer = body.draft;
      this.#show("unsaved");
      this.dispatchEvent(new Event("stale"));
    } else if (status === 401 || status === 403 || (status >= 400 && status < 500 && status !== 408 && status !== 429)) {
      this.#dirty = true;
      this.why = status === 401 ? "Your session has ended. Sign in again in another tab, and change something here." : (body?.detail ?? `The server answers ${status}.`);
      this.#show("refused");
    } else {
      this.#retry("offline");
    }
  }

  #settled() {
    this.savedAt = Date.now();
    this.#shelf.delete(this.#id);
    this.#show("saved");
  }

  #retry(state) {
    this.#dirty = true;
    this.#schedule(RETRY_AFTER_MS);
    this.#show(state);
  }

  #schedule(ms, anew = false) {
    if (anew) clearTimeout(this.#timer);
    else if (this.#timer) return;
    this.#timer = setTimeout(() => this.save(), ms);
  }

  #keep() {
    if (this.#dirty) this.#shelf.set(this.#id, { definition: this.#read(), version: this.version, unsaved: true, at: Date.now() });
  }

  #show(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
