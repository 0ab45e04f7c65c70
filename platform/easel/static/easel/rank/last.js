// The last submission, to be taken back: out of the outbox while it waits there, else from the server while it lets it go.

import { Unreachable } from "./api.js";
import { announce, notify } from "./words.js";

const KEEP_MS = 600_000; // as long as a lease: the server says for itself when it is too late

export class Last {
  #api;
  #outbox;
  #shelf;
  #project;
  #bring;
  #busy = false;
  #work = null; // while the page lives: its pictures are here already

  // bring: show an assignment again; with the work that it was, and the entry that was taken out of the outbox
  constructor({ api, outbox, shelf, project, bring }) {
    this.#api = api;
    this.#outbox = outbox;
    this.#shelf = shelf;
    this.#project = project;
    this.#bring = bring;
    this.show();
  }

  get #id() {
    const kept = this.#shelf.get(this.#project);
    return kept && Date.now() - kept.at < KEEP_MS ? kept.assignment : null;
  }

  keep(work) {
    this.#work = work;
    this.#shelf.set(this.#project, { assignment: work.id, at: Date.now() });
    this.show();
  }

  forget() {
    this.#work = null;
    this.#shelf.delete(this.#project);
    this.show();
  }

  show() {
    const id = this.#id;
    for (const button of document.querySelectorAll("[data-undo-submission]")) button.hidden = !id;
  }

  async undo() {
    const id = this.#id;
    if (!id) return announce("There is no submission to undo.");
    if (this.#busy) return;
    this.#busy = true;
    try {
      const work = this.#work?.id === id ? this.#work : null;
      const entry = await this.#outbox.take(id);
      if (entry && work) return this.#done(work, null, entry);
      const { status, body } = entry ? await this.#api.send("GET", `assignments/${id}/`) : await this.#api.send("POST", `assignments/${id}/reopen/`);
      if (status === 200) return this.#done(work, body, entry);
      if (entry) this.#outbox.add(entry);
      else if (status < 500 && status !== 401 && status !== 429) this.forget();
      notify("", status < 500 && body?.detail ? body.detail : "The last submission cannot be taken back now. Try again in a moment.");
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      notify("", "The last submission was sent already, and the connection is gone. Take it back once the connection is there again.");
    } finally {
      this.#busy = false;
    }
  }

  #done(work, assignment, entry) {
    this.forget();
    this.#bring(work, assignment, entry);
  }
}
