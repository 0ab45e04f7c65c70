// What a live form does between Generate and the ranking: one attempt at a time is asked for, watched, cancelled, or gone on
// with after a reload. It draws nothing; the page listens.
//
// Events: those of Attempt ("progress", "images", "assignment", "problem", "trouble"), of the attempt at hand only.
// "progress" also has the states "asking", while the request itself is under way, and "idle", where there is no attempt.

import { Unreachable } from "../rank/api.js";
import { Attempt, problemOf } from "./attempt.js";

const EVENTS = ["progress", "images", "assignment", "problem", "trouble"];
const IDLE = { state: "idle", done: 0, total: 0, step: 0, steps: 0, note: "" };
const OFFLINE = { code: "offline", detail: "The server does not answer. Press Generate again when the connection is back.", fields: {} };

export class LiveDesk extends EventTarget {
  #api;
  #project;
  #version;
  #attempt = null;
  #asking = false;
  #unwanted = false; // cancelled before the server had answered

  // api: as rank/api.js has it. project: its id. version: of the form that is filled in.
  constructor({ api, project, version }) {
    super();
    this.#version = version;
    this.#api = api;
    this.#project = project;
  }

  // The Attempt at hand, or null.
  get attempt() {
    return this.#attempt;
  }

  // Whether images are being asked for or made: Generate may be pressed again, and ends what runs.
  get busy() {
    return this.#asking || (this.#attempt !== null && !this.#attempt.isOver);
  }

  // Ask for images. values: what the form asks before Generate, by component name. vary: the id of an image to start from.
  // Returns whether the server took it; a refusal is told as "problem", and then the attempt before goes on.
  async generate(values, { vary = null } = {}) {
    if (this.#asking) return false; // a second click, or a key that is held down
    this.#asking = true;
    this.#unwanted = false;
    this.#tell("progress", { ...IDLE, state: "asking" });
    try {
      const answer = await this.#send("POST", `projects/${this.#project}/attempts/`, { values, ...(vary && { vary }), ...(this.#version && { template_version: this.#version }) });
      this.#asking = false;
      if (answer?.status !== 202) {
        this.#tell("problem", answer ? problemOf(answer) : OFFLINE);
        this.#tell("progress", this.#attempt?.progress ?? IDLE);
        return false;
      }
      this.#show(answer.body);
      if (this.#unwanted) await this.#attempt.cancel();
      return true;
    } finally {
      this.#asking = false;
    }
  }

  async cancel() {
    if (this.#asking) this.#unwanted = true;
    else if (this.busy) await this.#attempt.cancel();
  }

  // Go on with what this person had begun before a reload. Returns the attempt as the API shows it (its `values` fill the form
  // again), or null where there is nothing to go on with.
  async resume() {
    const answer = await this.#send("GET", `projects/${this.#project}/attempts/?open=true`);
    const [told] = (answer?.status === 200 && answer.body?.results) || [];
    return told && !this.#asking && !this.#attempt ? this.open(told.id) : null;
  }

  // Take up an attempt of the history, to rank it after all. Returns it as the API shows it, or null.
  async open(id) {
    const answer = await this.#send("GET", `attempts/${id}/`);
    if (answer?.status !== 200 || this.#asking) return null;
    this.#show(answer.body);
    return answer.body;
  }

  // The page of this person's attempts, newest first: { results, next }, or null. page: the `next` of the page before.
  async history(page = null) {
    const cursor = page ? new URL(page).search : "?page_size=20";
    const answer = await this.#send("GET", `projects/${this.#project}/attempts/${cursor}`);
    return answer?.status === 200 ? answer.body : null;
  }

  // The attempt at hand was ranked or skipped: the next prompt comes.
  close() {
    this.#attempt?.leave();
    this.#attempt = null;
  }

  #show(told) {
    this.close();
    this.#attempt = new Attempt(this.#api, told);
    for (const name of EVENTS) this.#attempt.addEventListener(name, ({ detail }) => this.#tell(name, detail));
    this.#attempt.watch();
  }

  // Returns null where no answer came.
  async #send(method, path, body) {
    try {
      return await this.#api.send(method, path, body);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      return null;
    }
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
