// All images enlarged, over the whole window (in a dialog) or as a part of a page. They zoom and move together: the same detail of
// each is in view. One of them can be shown alone, and flipped with another in the very same spot.

const LARGEST = 16;
const STEP = 1.25;
const SWIPE_PX = 40;

export class Zoom {
  #dialog;
  #panes;
  #which;
  #ranking;
  #work = null;
  #scale = 1;
  #x = 0.5; // the point of the images that is in the middle of the panes, in fractions of an image
  #y = 0.5;
  #shown = null; // the id that is shown alone
  #other = null; // the id that was shown before it
  #pointers = new Map();
  #swipe = null; // where a single finger came down

  // ranking: placeOf(id), current(), hides(id) (blurred?), look(id); a page without places or blur leaves them out.
  constructor(dialog, ranking = {}) {
    this.#dialog = dialog;
    this.#panes = dialog.querySelector(".zoom-panes");
    this.#which = dialog.querySelector(".zoom-which");
    this.#ranking = ranking;
    dialog.addEventListener("click", (event) => this.#click(event));
    this.#panes.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#panes.addEventListener("pointerdown", (event) => this.#down(event));
    this.#panes.addEventListener("pointermove", (event) => this.#move(event));
    this.#panes.addEventListener("pointerup", (event) => this.#up(event));
    this.#panes.addEventListener("pointercancel", (event) => {
      this.#pointers.delete(event.pointerId);
      this.#swipe = null;
    });
    this.#panes.addEventListener("dblclick", (event) => this.#by(this.#scale > 1 ? 0 : 3, event));
    new ResizeObserver(() => this.#layout()).observe(this.#panes);
  }

  get open() {
    return this.#dialog.open ?? true; // a part of a page is always open
  }

  // Shows all images, or, with flip, the current one alone.
  show(work, { current, flip = false, pixelated }) {
    this.#work = work;
    this.#scale = 1;
    this.#x = this.#y = 0.5;
    this.#shown = flip ? current : null;
    const at = work.candidates.findIndex((one) => one.id === current);
    this.#other = work.candidates[(at + 1) % work.candidates.length].id;
    this.#panes.classList.toggle("pixels", pixelated);
    this.#panes.replaceChildren(...work.candidates.map((candidate) => this.#pane(candidate)));
    this.#which.replaceChildren(button("All", "all"), ...work.candidates.map((one) => button(one.letter, one.id)));
    this.#dialog.showModal?.();
    if (this.#dialog.showModal) this.#dialog.focus(); // not its first button: Space closes
    this.#layout();
    this.#draw();
  }

  close() {
    this.#dialog.close?.();
  }

  // Returns whether the key meant something here. doing: the act that it has on the page.
  key(event, letterId, doing = { " ": "enlarge", v: "flip", c: "flip" }[event.key.toLowerCase()]) {
    const pan = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (pan && this.#scale === 1 && this.#shown !== null) this.#neighbour(pan[0] || pan[1]);
    else if (pan) this.#pan((pan[0] * 0.15) / this.#scale, (pan[1] * 0.15) / this.#scale);
    else if (event.key === "+" || event.key === "=") this.#by(STEP);
    else if (event.key === "-" || event.key === "_") this.#by(1 / STEP);
    else if (event.key === "0") this.#by(0);
    else if (letterId) this.#only(letterId === this.#shown ? this.#other : letterId);
    else if (doing === "enlarge") this.close();
    else if (doing === "flip") this.flip();
    else return false;
    return true;
  }

  // The image that digits place: the one shown alone.
  get shown() {
    return this.#shown;
  }

  flip() {
    this.#only(this.#shown === null ? (this.#ranking.current?.()?.id ?? this.#other) : this.#other);
  }

  refresh() {
    if (!this.open) return;
    for (const pane of this.#panes.children) {
      pane.querySelector(".place").textContent = this.#ranking.placeOf(pane.dataset.candidate) || "–";
    }
  }

  #pane(candidate) {
    const pane = document.createElement("figure");
    pane.className = "zoom-pane";
    pane.dataset.candidate = candidate.id;
    const view = document.createElement("div");
    view.className = "zoom-view";
    const image = new Image();
    image.alt = `Image ${candidate.letter}`;
    image.draggable = false;
    image.src = candidate.url;
    view.append(image);
    if (this.#ranking.hides?.(candidate.id)) view.append(lookButton(candidate));
    const caption = document.createElement("figcaption");
    const letter = document.createElement("b");
    letter.textContent = candidate.letter;
    const beside = document.createElement("span");
    beside.className = this.#ranking.placeOf ? "place" : "clip";
    beside.textContent = this.#ranking.placeOf ? this.#ranking.placeOf(candidate.id) || "–" : candidate.words;
    caption.append(letter, beside);
    pane.append(view, caption);
    return pane;
  }

  #only(id) {
    if (id === this.#shown) return;
    this.#other = this.#shown ?? this.#other;
    if (this.#other === id) this.#other = this.#work.candidates.find((one) => one.id !== id).id;
    this.#shown = id;
    this.#layout();
    this.#draw();
  }

  // The image to the left or right of the one that is shown alone.
  #neighbour(step) {
    const all = this.#work.candidates;
    const at = all.findIndex((one) => one.id === this.#shown);
    this.#only(all[(at + step + all.length) % all.length].id);
  }

  // The views are as large as fits: all side by side, or one alone.
  #layout() {
    if (!this.open || !this.#work) return;
    const count = this.#shown === null ? this.#work.candidates.length : 1;
    const box = this.#panes.getBoundingClientRect();
    const [first] = this.#work.candidates;
    const aspect = first.width / first.height;
    const [gap, caption] = [8, 28];
    let best = { columns: 1, width: 0 };
    for (let columns = 1; columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns);
      const width = Math.min((box.width - (columns - 1) * gap) / columns, ((box.height - (rows - 1) * gap) / rows - caption) * aspect);
      if (width > best.width) best = { columns, width };
    }
    this.#panes.style.setProperty("--columns", best.columns);
    this.#panes.style.setProperty("--view", `${Math.floor(best.width)}px`);
    this.#panes.style.setProperty("--aspect", aspect);
  }

  #draw() {
    this.#panes.classList.toggle("is-zoomed", this.#scale > 1);
    this.#panes.style.setProperty("--scale", this.#scale);
    this.#panes.style.setProperty("--x", `${(0.5 - this.#x) * this.#scale * 100}%`);
    this.#panes.style.setProperty("--y", `${(0.5 - this.#y) * this.#scale * 100}%`);
    for (const pane of this.#panes.children) pane.hidden = this.#shown !== null && pane.dataset.candidate !== this.#shown;
    for (const one of this.#which.children) one.setAttribute("aria-pressed", String(one.dataset.only === (this.#shown ?? "all")));
    this.#dialog.querySelector(".zoom-scale").textContent = `${this.#scale < 10 ? Number(this.#scale.toFixed(1)) : Math.round(this.#scale)}×`;
  }

  // Zoom by a factor (0: back to the whole image) and keep the point under the pointer where it is.
  #by(factor, pointer = null) {
    const [px, py] = pointer ? this.#inView(pointer) : [0, 0];
    const before = this.#scale;
    this.#scale = factor ? Math.min(Math.max(before * factor, 1), LARGEST) : 1;
    this.#pan(px / before - px / this.#scale, py / before - py / this.#scale);
  }

  #pan(dx, dy) {
    const half = 0.5 / this.#scale;
    this.#x = Math.min(Math.max(this.#x + dx, half), 1 - half);
    this.#y = Math.min(Math.max(this.#y + dy, half), 1 - half);
    this.#draw();
  }

  // Where a pointer is in its pane, in fractions of the view from its middle.
  #inView({ clientX, clientY }) {
    const view = document.elementFromPoint(clientX, clientY)?.closest(".zoom-view");
    if (!view) return [0, 0];
    const box = view.getBoundingClientRect();
    return [(clientX - box.left) / box.width - 0.5, (clientY - box.top) / box.height - 0.5];
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 20 : 1);
    this.#by(Math.exp(-Math.max(-200, Math.min(200, pixels)) / 400), event);
  }

  #down(event) {
    const finger = event.pointerType === "touch"; // may come down between the images, too
    if (event.button !== 0 || event.target.closest(".look") || !(finger || event.target.closest(".zoom-view"))) return;
    event.preventDefault();
    this.#panes.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event);
    const alone = this.#pointers.size === 1 && this.#scale === 1 && finger;
    this.#swipe = alone ? { x: event.clientX, y: event.clientY } : null;
  }

  // A finger that goes sideways over whole images turns to the next one.
  #up(event) {
    this.#pointers.delete(event.pointerId);
    const from = this.#swipe;
    this.#swipe = null;
    if (!from || this.#scale > 1) return;
    const [x, y] = [event.clientX - from.x, event.clientY - from.y];
    if (Math.abs(x) < SWIPE_PX || Math.abs(x) < Math.abs(y)) return;
    if (this.#shown !== null) this.#neighbour(x < 0 ? 1 : -1);
    else this.#only(this.#work.candidates.at(x < 0 ? 0 : -1).id);
  }

  // One pointer drags all images, two pinch them.
  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const width = this.#panes.querySelector(".zoom-pane:not([hidden]) .zoom-view").getBoundingClientRect();
    const share = 1 / this.#pointers.size;
    this.#pan(
      (-(event.clientX - before.clientX) * share) / width.width / this.#scale,
      (-(event.clientY - before.clientY) * share) / width.height / this.#scale,
    );
    if (this.#pointers.size === 2) {
      const [fixed] = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, one]) => one);
      const span = (one) => Math.hypot(one.clientX - fixed.clientX, one.clientY - fixed.clientY);
      const middle = { clientX: (event.clientX + fixed.clientX) / 2, clientY: (event.clientY + fixed.clientY) / 2 };
      if (span(before) > 0) this.#by(span(event) / span(before), middle);
    }
    this.#pointers.set(event.pointerId, event);
  }

  #click(event) {
    const target = event.target.closest("button");
    if (!target) return;
    if (target.dataset.look) {
      this.#ranking.look(target.dataset.look);
      this.#dialog.focus();
    }
    if (target.dataset.only) {
      if (target.dataset.only === "all") {
        this.#shown = null;
        this.#layout();
        this.#draw();
      } else this.#only(target.dataset.only);
    }
    const act = { flip: () => this.flip(), in: () => this.#by(STEP), out: () => this.#by(1 / STEP), reset: () => this.#by(0), close: () => this.close() };
    act[target.dataset.zoom]?.();
  }
}

function lookButton({ id, letter }) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button small look";
  made.textContent = `Show ${letter}`;
  made.dataset.look = id;
  return made;
}

function button(words, only) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = words;
  made.dataset.only = only;
  return made;
}
