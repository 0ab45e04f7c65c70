// One live attempt, from the moment it is asked for until its images can be ranked. It looks at the server again and again and
// tells what changed.
//
// state: "queued", "running", "paused", "finishing" (all images are there, the assignment is not), then for good "ready",
// "cancelled", "failed", or "over" (it was ranked or skipped in another tab).
//
// Events: "progress" { state, done, total, step, steps, note }; "images" [candidates], whenever there are more of them;
// "assignment", the assignment, once; "problem" { code, detail, fields }; "trouble" { detail }, empty when it has passed.

import { Unreachable } from "../rank/api.js";

const LOOK_MS = 250; // from one answer to the next question, while somebody waits
const HIDDEN_MS = 2_000; // in a tab that nobody sees
const FIRST_WAIT_MS = 1_000; // where the server did not answer; each time longer
const LONGEST_WAIT_MS = 10_000;
const OVER = new Set(["ready", "cancelled", "failed", "over"]);

export class Attempt extends EventTarget {
  #api;
  #told;
  #shown = 0;
  #timer = 0;
  #failures = 0;
  #left = false;

  // told: the attempt as the API shows it.
  constructor(api, told) {
    super();
    this.#api = api;
    this.#told = told;
  }

  get id() {
    return this.#told.id;
  }

  // As the API shows it: prompt, model, settings, values, varies ...
  get told() {
    return this.#told;
  }

  get candidates() {
    return this.#told.candidates;
  }

  get state() {
    const { state, outcome, assignment } = this.#told;
    if (assignment) return "ready";
    if (outcome === "ranked" || outcome === "skipped") return "over";
    return state === "done" ? "finishing" : state;
  }

  // What the event of that name says.
  get progress() {
    return { state: this.state, ...this.#told.progress };
  }

  get isOver() {
    return OVER.has(this.state);
  }

  // Tell what is known, and look again until it is over.
  watch() {
    this.#hear(this.#told);
    if (!this.#left && !this.isOver) this.#again(LOOK_MS);
  }

  // Say nothing more: something else is being looked at.
  leave() {
    this.#left = true;
    clearTimeout(this.#timer);
  }

  // Have the workers stop at their next step; what is made stays in the history.
  async cancel() {
    const answer = await this.#send("POST", `attempts/${this.id}/cancel/`);
    if (this.#left || !answer) return;
    if (answer.status === 202) {
      clearTimeout(this.#timer);
      this.#hear(answer.body);
    } else if (answer.status !== 409) {
      this.#tell("problem", problemOf(answer)); // 409: it was finished in the meantime, and the next look tells
    }
  }

  #again(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), document.hidden ? Math.max(wait, HIDDEN_MS) : wait);
  }

  async #look() {
    const answer = await this.#send("GET", `attempts/${this.id}/`);
    if (this.#left || this.isOver) return;
    if (!answer) {
      this.#failures += 1;
      if (this.#failures === 2) this.#tell("trouble", { detail: "The server does not answer. Your images are made all the same." });
      return this.#again(Math.min(FIRST_WAIT_MS * 2 ** (this.#failures - 1), LONGEST_WAIT_MS));
    }
    if (this.#failures > 1) this.#tell("trouble", { detail: "" });
    this.#failures = 0;
    if (answer.status !== 200) return this.#tell("problem", problemOf(answer));
    this.#hear(answer.body);
    if (!this.#left && !this.isOver) this.#again(LOOK_MS);
  }

  // Returns null where no answer came, or one that says nothing.
  async #send(method, path) {
    try {
      const answer = await this.#api.send(method, path);
      return answer.status >= 500 || answer.status === 429 || answer.status === 408 ? null : answer;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      return null;
    }
  }

  #hear(told) {
    this.#told = told;
    const { state } = this;
    this.#tell("progress", this.progress);
    if (told.candidates.length > this.#shown) {
      this.#shown = told.candidates.length;
      this.#tell("images", told.candidates);
    }
    if (state === "ready") this.#tell("assignment", told.assignment);
    if (state === "failed") this.#tell("problem", { code: "failed", detail: failure(told), fields: {} });
  }

  #tell(name, detail) {
    if (!this.#left) this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

// What a refusal says, as { code, detail, fields }.
export function problemOf({ status, body }) {
  const signedOut = status === 401;
  const unsaid = `The server answered with error ${status}. It is not your doing; press Generate again.`;
  return {
    ...body, // left and resets_at of a quota
    code: body?.code ?? `error_${status}`,
    detail: signedOut ? "You are signed out. Sign in in another tab, then press Generate again." : (body?.detail ?? unsaid),
    fields: body?.fields ?? {},
  };
}

function failure({ error, progress }) {
  const reason = error ? `: ${error.replace(/\.$/, "")}` : "";
  const made = progress.done ? ` ${progress.done} of ${progress.total} were made.` : "";
  return `The images could not be made${reason}.${made} Change something, or press Generate again.`;
}
