// Publishing: what changed since the last version, in words, and which collected answers the new one would not take. Then the button.

import { Unreachable } from "../rank/api.js";
import { count, el, later } from "./dom.js";

const SUMMARY_AFTER_MS = 1_500;

export class Publishing {
  #api;
  #config;
  #saving;
  #parts;
  #count;

  // parts: the elements of the dialog. problems: () => how many there are.
  constructor(api, config, saving, parts) {
    this.#api = api;
    this.#config = config;
    this.#saving = saving;
    this.#parts = parts;
    parts.go.addEventListener("click", () => this.#publish());
    this.#count = later(() => this.#countChanges(), SUMMARY_AFTER_MS);
  }

  // Beside the button: how much has changed since the last version.
  summarise(problems) {
    if (problems) {
      this.#count.cancel();
      this.#parts.summary.textContent = "Mend the problems to publish";
    } else this.#count();
  }

  async #countChanges() {
    try {
      const { status, body } = await this.#api.send("GET", `templates/${this.#config.template.id}/differences/`);
      if (status !== 200) return;
      const last = this.#config.published;
      const { changes } = body;
      const words = changes.length === 1 ? changes[0].words : changes.length ? `${count(changes.length, "change")} since version ${last}` : "Nothing changed";
      this.#parts.summary.textContent = last === null ? "Not published yet" : words;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
  }

  async open(problems) {
    const { dialog, changes, answers, go, problem, note } = this.#parts;
    problem.hidden = true;
    go.disabled = true;
    note.disabled = false;
    changes.replaceChildren(el("p", { class: "quiet" }, "Looking at what changed…"));
    answers.replaceChildren();
    dialog.showModal();
    dialog.focus();
    await this.#saving.save();
    if (!this.#saving.isSaved) return this.#complain("The draft is not saved yet, so it cannot be published. Wait until it says “Saved”.");
    if (problems()) {
      changes.replaceChildren();
      return this.#complain(`The form has ${count(problems(), "problem")}. Mend ${problems() === 1 ? "it" : "them"} first; the list is at the right.`);
    }
    const root = `templates/${this.#config.template.id}`;
    try {
      const [told, run] = await Promise.all([this.#api.send("GET", `${root}/differences/`), this.#api.send("POST", `${root}/dry-run/`, {})]);
      if (told.status !== 200) return this.#complain(told.body?.detail ?? "What changed cannot be told right now.");
      this.#show(told.body.changes, run.status === 200 ? run.body : null);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      this.#complain("The server does not answer. Try again in a moment.");
    }
  }

  #show(found, run) {
    const { changes, answers, go } = this.#parts;
    const first = this.#config.published === null;
    const list = el("ul", { class: "changes" }, ...found.map((one) => el("li", {}, one.words)));
    if (found.length) changes.replaceChildren(el("h3", {}, first ? "What is in it" : `${count(found.length, "change")} since version ${this.#config.published}`), list);
    else changes.replaceChildren(el("p", {}, "Nothing changed since the last version, so there is nothing to publish."));
    if (run?.looked_at) {
      const words = run.refused
        ? `${run.refused} of ${run.looked_at} collected annotations would not be taken by this form. They stay as they are, under the version that they were given to.`
        : `All ${run.looked_at} collected annotations would be taken by this form.`;
      const reasons = run.reasons.map((one) => el("li", {}, `${one.label || one.name}: ${one.reason} (${one.count})`));
      answers.replaceChildren(el("h3", {}, "Collected answers"), el("p", {}, words), ...(reasons.length ? [el("ul", { class: "changes" }, ...reasons)] : []));
    }
    go.disabled = !found.length;
    if (found.length) go.focus();
  }

  async #publish() {
    const { dialog, go, note } = this.#parts;
    go.disabled = true;
    const body = { draft_version: this.#saving.version, note: note.value.trim() };
    try {
      const { status, body: told } = await this.#api.send("POST", `templates/${this.#config.template.id}/versions/`, body);
      if (status === 201 || status === 200) {
        note.value = "";
        dialog.close();
        this.done(told);
      } else {
        this.#complain(told?.code === "stale_draft" ? "Somebody has saved a newer draft. Close this, and look at it first." : (told?.detail ?? `The server answers ${status}.`));
      }
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      go.disabled = false;
      this.#complain("The server does not answer. Try again in a moment: publishing twice makes one version.");
    }
  }

  #complain(words) {
    const { changes, problem } = this.#parts;
    if (changes.textContent.startsWith("Looking")) changes.replaceChildren();
    problem.textContent = words;
    problem.hidden = false;
  }
}
