// The attempts that this person made before, in a dialog: their prompts, settings and images.

const OUTCOMES = { ranked: "ranked", skipped: "skipped", open: "not ranked yet", waiting: "" };
const STATES = { cancelled: "stopped", failed: "failed", queued: "waiting", running: "being made" };

export class Attempts {
  #dialog;
  #desk;
  #take;
  #next = null;

  // take: what to do with one that is chosen to be ranked after all
  constructor(dialog, desk, take) {
    this.#dialog = dialog;
    this.#desk = desk;
    this.#take = take;
    this.#more.addEventListener("click", () => this.load(this.#next));
  }

  get #list() {
    return this.#dialog.querySelector("[data-attempts]");
  }

  get #more() {
    return this.#dialog.querySelector("[data-more]");
  }

  async load(page = null) {
    const found = await this.#desk.history(page);
    const words = this.#dialog.querySelector("[data-none]");
    if (!page) this.#list.replaceChildren();
    this.#list.append(...(found?.results ?? []).map((told) => this.#row(told)));
    this.#next = found?.next ?? null;
    this.#more.hidden = !this.#next;
    words.hidden = this.#list.children.length > 0;
    words.textContent = found ? "Nothing was generated yet. What you generate here is kept, with its settings." : "The server does not answer. Try again in a moment.";
  }

  #row(told) {
    const row = document.getElementById("attempt-part").content.cloneNode(true).firstElementChild;
    row.querySelector("[data-words]").textContent = told.prompt.text;
    const settings = Object.entries(told.settings ?? {}).filter(([, value]) => value !== null && value !== "default" && typeof value !== "object");
    const facts = [told.model?.name, told.varies ? "varied" : "", ...settings.map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`)];
    row.querySelector("[data-facts]").textContent = [...facts, OUTCOMES[told.outcome] || STATES[told.state] || ""].filter(Boolean).join(" · ");
    row.querySelector("[data-images]").replaceChildren(
      ...told.candidates.map(({ url }, index) => {
        const image = new Image();
        image.src = url;
        image.loading = "lazy";
        image.alt = `Image ${index + 1}`;
        return image;
      }),
    );
    const button = row.querySelector("button");
    button.hidden = told.outcome !== "open";
    button.addEventListener("click", () => {
      this.#dialog.close();
      this.#take(told);
    });
    return row;
  }
}
