// One leased item: its pictures (fetched and decoded ahead), its answers so far, its clock and its draft.

import { ActiveClock } from "./clock.js";
import { Draft } from "./draft.js";

export class Picture {
  state = "loading"; // "ready", "failed"
  image;
  settled;

  constructor(candidate) {
    this.candidate = candidate;
    this.load();
  }

  load() {
    this.state = "loading";
    this.image = new Image();
    this.image.alt = "";
    this.image.draggable = false;
    this.image.decoding = "sync"; // decoded already when it is shown: it paints with the frame that shows it
    this.image.src = this.candidate.url;
    this.settled = this.image.decode().then(
      () => (this.state = "ready"),
      () => (this.state = "failed"),
    );
    return this.settled;
  }
}

export class Work {
  // pictures: those that are here already, by the candidate's id
  constructor(assignment, api, shelf, pictures = new Map()) {
    const { answers, active_ms, unsaved } = Draft.restore(assignment, shelf);
    this.id = assignment.id;
    this.version = assignment.template_version;
    this.item = assignment.item;
    this.returned = assignment.returned ?? null; // { comment } of a reviewer
    this.training = assignment.training ?? null; // { number, of }
    this.answers = answers;
    this.candidates = assignment.item.candidates.map((candidate, index) => ({ ...candidate, letter: String.fromCharCode(65 + index) }));
    this.pictures = new Map(this.candidates.map((candidate) => [candidate.id, pictures.get(candidate.id) ?? new Picture(candidate)]));
    this.clock = new ActiveClock(active_ms);
    this.draft = new Draft(api, shelf, assignment, () => ({ answers: this.answers, active_ms: this.clock.ms }));
    if (unsaved) this.draft.change();
  }

  get ready() {
    return Promise.all([...this.pictures.values()].map((picture) => picture.settled));
  }
}
