// One image with its marks: drawn with a pointer, moved and sized with the arrows. Places are fractions of the image.

const LEAST = 0.01; // a smaller box was meant as a point
const STEP = 0.02;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Stage {
  #root;
  #component;
  #hooks;
  #marks = [];
  #at = -1;
  #box = document.createElement("div");
  #image = new Image();

  // hooks: kind() -> the kind of a new mark, changed(), chosen()
  constructor(root, component, hooks) {
    this.#root = root;
    this.#component = component;
    this.#hooks = hooks;
    this.#box.className = "stage-box";
    this.#image.draggable = false;
    this.#box.append(this.#image);
    root.append(this.#box);
    this.#box.addEventListener("pointerdown", (event) => this.#down(event));
    this.#box.addEventListener("focusin", (event) => this.#choose(this.#indexOf(event.target)));
    this.#box.addEventListener("keydown", (event) => this.#key(event));
  }

  get chosen() {
    return this.#marks[this.#at];
  }

  show(candidate, marks) {
    this.#marks = marks;
    this.#at = -1;
    this.#box.dataset.candidate = candidate.id; // blurred like its tile
    this.#image.alt = `Image ${candidate.letter}, to be marked`;
    this.#image.src = candidate.url;
    this.#box.style.aspectRatio = `${candidate.width} / ${candidate.height}`;
    this.#box.classList.toggle("pixels", candidate.width <= 128);
    this.#render();
  }

  // A mark in the middle, to be moved with the arrows.
  add() {
    const point = this.#component.shape === "point";
    if (this.#put(point ? { x: 0.5, y: 0.5, w: 0, h: 0 } : { x: 0.35, y: 0.35, w: 0.3, h: 0.3 })) this.#focus();
  }

  remove() {
    if (!this.chosen) return;
    this.#marks.splice(this.#at, 1);
    this.#at = Math.min(this.#at, this.#marks.length - 1);
    this.#render();
    this.#hooks.changed();
    if (this.chosen) this.#focus();
    else this.#root.closest("section").querySelector("[data-add]").focus();
  }

  turn(kind) {
    if (!this.chosen || this.chosen.kind === kind) return;
    this.chosen.kind = kind;
    this.#render();
    this.#hooks.changed();
  }

  write(note) {
    if (!this.chosen) return;
    if (note.trim()) this.chosen.note = note;
    else delete this.chosen.note;
    this.#hooks.changed();
  }

  #put(place) {
    if (this.#marks.length >= this.#component.most) return false;
    this.#marks.push({ ...rounded(place), kind: this.#hooks.kind() });
    this.#at = this.#marks.length - 1;
    this.#render();
    this.#hooks.changed();
    return true;
  }

  #down(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    const index = this.#indexOf(event.target);
    if (index >= 0) return;
    event.preventDefault();
    const frame = this.#box.getBoundingClientRect();
    const place = (moved) => ({ x: clamp((moved.clientX - frame.left) / frame.width), y: clamp((moved.clientY - frame.top) / frame.height) });
    const from = place(event);
    const ghost = document.createElement("span");
    ghost.className = "mark is-drawn";
    this.#box.append(ghost);
    this.#box.setPointerCapture(event.pointerId);
    const span = (to) => ({ x: Math.min(from.x, to.x), y: Math.min(from.y, to.y), w: Math.abs(to.x - from.x), h: Math.abs(to.y - from.y) });
    const stop = new AbortController();
    const on = (name, act) => this.#box.addEventListener(name, act, { signal: stop.signal });
    const end = () => {
      stop.abort();
      ghost.remove();
    };
    on("pointermove", (moved) => this.#component.shape !== "point" && lay(ghost, span(place(moved))));
    on("pointercancel", end);
    on("pointerup", (up) => {
      end();
      const box = span(place(up));
      const small = box.w < LEAST || box.h < LEAST;
      if (this.#component.shape === "point" || (small && this.#component.shape === "both")) this.#put({ ...from, w: 0, h: 0 });
      else if (!small) this.#put(box);
      if (this.chosen) this.#focus();
    });
  }

  #key(event) {
    const mark = this.chosen;
    if (!mark || this.#indexOf(event.target) < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      event.stopPropagation();
      this.remove();
    } else if (ARROWS[event.key]) {
      event.preventDefault();
      event.stopPropagation();
      const [right, down] = ARROWS[event.key];
      const sized = event.shiftKey && mark.w > 0;
      if (sized) Object.assign(mark, { w: clamp(mark.w + right * STEP, LEAST, 1 - mark.x), h: clamp(mark.h + down * STEP, LEAST, 1 - mark.y) });
      else Object.assign(mark, { x: clamp(mark.x + right * STEP, 0, 1 - mark.w), y: clamp(mark.y + down * STEP, 0, 1 - mark.h) });
      Object.assign(mark, rounded(mark));
      this.#render();
      this.#focus();
      this.#hooks.changed();
    }
  }

  #choose(index) {
    if (index < 0 || index === this.#at) return;
    this.#at = index;
    for (const [at, mark] of this.#shown.entries()) mark.classList.toggle("is-chosen", at === index);
    this.#hooks.chosen();
  }

  #focus() {
    this.#shown[this.#at]?.focus({ preventScroll: true });
  }

  get #shown() {
    return [...this.#box.querySelectorAll("button.mark")];
  }

  #indexOf(target) {
    return this.#shown.indexOf(target.closest("button.mark"));
  }

  #render() {
    for (const mark of this.#shown) mark.remove();
    const kinds = this.#component.kinds;
    for (const [index, mark] of this.#marks.entries()) {
      const at = Math.max(kinds.findIndex((kind) => kind.value === mark.kind), 0);
      const button = document.createElement("button");
      button.type = "button";
      button.className = `mark kind-${at % 4}${mark.w ? "" : " is-point"}${index === this.#at ? " is-chosen" : ""}`;
      button.setAttribute("aria-label", `Mark ${index + 1}, ${kinds[at].label || kinds[at].value}, at ${percent(mark.x)} from the left and ${percent(mark.y)} from the top`);
      lay(button, mark);
      this.#box.append(button);
    }
  }
}

function lay(element, { x, y, w, h }) {
  Object.assign(element.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: w ? `${w * 100}%` : "", height: h ? `${h * 100}%` : "" });
}

function rounded({ x, y, w, h }) {
  const round = (value) => Math.round(value * 10_000) / 10_000;
  const [left, top] = [round(x), round(y)];
  return { x: left, y: top, w: round(Math.min(w, 1 - left)), h: round(Math.min(h, 1 - top)) };
}

function clamp(value, low = 0, high = 1) {
  return Math.min(Math.max(value, low), high);
}

function percent(value) {
  return `${Math.round(value * 100)} %`;
}
