// The annotator's day in the bar: counted on at once here, and put right by the server's own figures now and then.

import { Unreachable } from "./api.js";

const FIGURES_MS = 20_000; // the day's figures are asked for at most this often

export class Day {
  #api;
  #project;
  #shown;
  #live;
  #place = document.getElementById("day");
  #askedAt = -FIGURES_MS;

  constructor(api, project, figures, live) {
    this.#api = api;
    this.#project = project;
    this.#shown = { ...figures };
    this.#live = live;
  }

  // One more submission (or one that came back, -1), and as many fewer items left.
  count(submitted, taken = 0) {
    this.#shown.today += submitted;
    if (typeof this.#shown.left === "number") this.#shown.left = Math.max(this.#shown.left - taken, 0);
    this.show();
  }

  show() {
    const { today, median_ms: middle, left: more } = this.#shown;
    const median = typeof middle === "number" ? `${(middle / 1000).toFixed(1)} s median` : "";
    const left = !this.#live && typeof more === "number" ? `${more} left` : "";
    this.#place.replaceChildren(
      ...[`${today} today`, median, left].filter(Boolean).map((words, index) => {
        const part = document.createElement("span");
        part.textContent = words;
        if (index === 1 && median) part.className = "median";
        return part;
      }),
    );
  }

  // The server's own figures, once nothing waits to be sent (until then they are behind).
  async refresh(outbox) {
    if (outbox.size || performance.now() - this.#askedAt < FIGURES_MS) return;
    this.#askedAt = performance.now();
    try {
      const { status, body } = await this.#api.send("GET", `projects/${this.#project}/progress/`);
      if (status === 200 && !outbox.size) Object.assign(this.#shown, body);
      this.show();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
  }
}
