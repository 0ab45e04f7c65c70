// Images that may upset stay blurred, in every place of the page, until they are asked for: one, or all of the item.

export class Blur {
  #on;
  #announce;
  #sheet = new CSSStyleSheet(); // says which images are clear again, wherever they are drawn
  #work = null;
  #seen = new Set();

  constructor(on, announce) {
    this.#on = on;
    this.#announce = announce;
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#sheet];
  }

  show(work) {
    if (work === this.#work) return;
    this.#work = work;
    this.#seen.clear();
    this.#draw();
  }

  hides(id) {
    return this.#hiding && !this.#seen.has(id);
  }

  // Returns whether there was anything to show.
  look(id) {
    if (!this.hides(id)) return false;
    this.#seen.add(id);
    this.#draw();
    this.#announce(`Image ${this.#work.candidates.find((one) => one.id === id).letter} is shown.`);
    return true;
  }

  lookAll() {
    const hidden = this.#hiding ? this.#work.candidates.filter(({ id }) => this.hides(id)) : [];
    if (!hidden.length) return false;
    for (const { id } of hidden) this.#seen.add(id);
    this.#draw();
    this.#announce("All images are shown.");
    return true;
  }

  get #hiding() {
    return Boolean(this.#on && this.#work?.item.sensitive);
  }

  #draw() {
    const left = this.#hiding && this.#work.candidates.some(({ id }) => this.hides(id));
    document.body.classList.toggle("blurs", left);
    document.getElementById("look-bar").hidden = !left;
    const clear = [...this.#seen].flatMap((id) => {
      const at = `.blurs [data-candidate="${CSS.escape(id)}"]`;
      return [`${at}[data-candidate] img { filter: none; }`, `${at} .look { display: none; }`];
    });
    this.#sheet.replaceSync(clear.join("\n"));
  }
}
