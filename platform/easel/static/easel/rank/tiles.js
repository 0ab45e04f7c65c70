// The grid of images: as large as fits, in reserved boxes, one of them current (the one that arrows move and digits place).

const PHONE = matchMedia("(max-width: 40rem)");
const PIXELATED_FROM = 2.5; // smaller pictures than the box by this factor show their pixels; smoothing would only blur them

export class Tiles {
  #grid;
  #list;
  #part;
  #hooks;
  #work = null;
  #current = 0;
  columns = 1;

  // hooks: press(id, shift), lift(event, id), zoom(id), look(id), moved()
  constructor(grid, part, hooks) {
    this.#grid = grid;
    this.#list = grid.querySelector("[data-tiles]");
    this.#part = part;
    this.#hooks = hooks;
    this.#grow(Number(grid.dataset.count));
    this.#list.addEventListener("click", (event) => this.#click(event));
    this.#list.addEventListener("pointerdown", (event) => this.#down(event));
    this.#list.addEventListener("focusin", (event) => this.#select(this.#indexOf(event.target)));
    this.#list.addEventListener("dragstart", (event) => event.preventDefault());
    new ResizeObserver(() => this.layout()).observe(grid);
    this.layout();
  }

  get current() {
    return this.#work?.candidates[this.#current] ?? null;
  }

  get #tiles() {
    return [...this.#list.children].filter((tile) => !tile.hidden);
  }

  show(work) {
    this.#work = work;
    this.#grow(Math.max(work.candidates.length, work.expected ?? 0)); // boxes are there before their images
    for (const tile of this.#list.children) unmark(tile);
    for (const [index, candidate] of work.candidates.entries()) this.#fill(this.#list.children[index], work, candidate);
    for (const tile of [...this.#list.children].slice(work.candidates.length)) empty(tile);
    this.#select(work.keep ? Math.max(this.#current, 0) : 0);
    this.layout();
  }

  focus() {
    this.#tiles[this.#current]?.querySelector(".tile-image").focus({ preventScroll: true });
  }

  // Move the current tile by columns and rows; it stops at the edges.
  move(right, down) {
    const onward = getComputedStyle(this.#list).direction === "rtl" ? -right : right;
    const to = this.#current + onward + down * this.columns;
    if (to < 0 || to >= this.#tiles.length) return;
    this.#select(to);
    this.focus();
  }

  choose(id) {
    this.#select(this.#work.candidates.findIndex((candidate) => candidate.id === id));
  }

  // Say on each tile where its image stands; judge: the field that places images, or null.
  mark(judge, hides = () => false) {
    if (!this.#work) return;
    for (const [index, { id, letter }] of this.#work.candidates.entries()) {
      const tile = this.#list.children[index];
      const { place, words, said } = judge?.standing(id) ?? { place: 0, words: "", said: "" };
      tile.classList.toggle("is-ranked", place > 0);
      tile.querySelector(".place").hidden = !place;
      tile.querySelector(".place").textContent = place || "";
      tile.querySelector(".tile-words").textContent = words;
      tile.querySelector(".tile-image").setAttribute("aria-label", `Image ${letter}${hides(id) ? ", blurred" : ""}${said ? `, ${said}` : ""}`);
    }
  }

  // The largest tiles that fit the box, over all numbers of columns.
  layout() {
    const count = this.#tiles.length;
    const box = this.#grid.getBoundingClientRect();
    const first = this.#tiles[0];
    if (!count || !box.width) return;
    const aspect = this.#aspect();
    const gap = parseFloat(getComputedStyle(this.#list).columnGap) || 0;
    const foot = first.querySelector(".tile-foot").offsetHeight;
    let best = { columns: count > 6 ? 3 : 2, tile: 0 };
    if (PHONE.matches) best.tile = (box.width - (best.columns - 1) * gap) / best.columns;
    for (let columns = 1; !PHONE.matches && columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns);
      const wide = (box.width - (columns - 1) * gap) / columns;
      const high = ((box.height - (rows - 1) * gap) / rows - foot) * aspect;
      const tile = Math.floor(Math.min(wide, high));
      if (tile > best.tile) best = { columns, tile };
    }
    this.columns = best.columns;
    this.#list.style.setProperty("--columns", best.columns);
    this.#list.style.setProperty("--tile", `${Math.max(best.tile, 64)}px`);
    this.#list.style.setProperty("--aspect", aspect);
    this.#list.classList.toggle("pixels", this.isPixelated(best.tile));
  }

  isPixelated(width) {
    return this.#work !== null && this.#work.candidates.every((one) => width / one.width >= PIXELATED_FROM);
  }

  // One box for all: boxes of different shapes would tell the models apart.
  #aspect() {
    const shapes = new Set(this.#work?.candidates.map((one) => one.width / one.height));
    return shapes.size === 1 ? Math.min(Math.max([...shapes][0], 0.5), 2) : 1;
  }

  #grow(count) {
    while (this.#list.children.length < count) this.#list.append(this.#part.content.cloneNode(true));
    for (const [index, tile] of [...this.#list.children].entries()) {
      const letter = String.fromCharCode(65 + index);
      tile.hidden = index >= count;
      tile.querySelector(".tile-letter").textContent = letter;
      tile.querySelector(".tile-image").setAttribute("aria-keyshortcuts", letter);
      tile.querySelector(".tile-image").setAttribute("aria-label", `Image ${letter}`);
      tile.querySelector(".tile-zoom").setAttribute("aria-label", `Enlarge image ${letter}`);
      tile.querySelector(".look").setAttribute("aria-label", `Show image ${letter}`);
    }
  }

  #fill(tile, work, candidate) {
    const picture = work.pictures.get(candidate.id);
    tile.dataset.candidate = candidate.id;
    tile.querySelector(".tile-image").replaceChildren(picture.image);
    this.#showState(tile, picture, candidate);
    if (picture.state === "loading") {
      picture.settled.then(() => tile.dataset.candidate === candidate.id && this.#showState(tile, picture, candidate));
    }
  }

  #showState(tile, picture, candidate) {
    tile.dataset.state = picture.state;
    const problem = tile.querySelector(".tile-problem");
    problem.hidden = picture.state !== "failed";
    problem.querySelector("span").textContent = `Image ${candidate.letter} did not load.`;
  }

  #select(index) {
    if (index < 0) return;
    this.#current = index;
    for (const [at, tile] of [...this.#list.children].entries()) {
      tile.querySelector(".tile-image").tabIndex = at === index ? 0 : -1;
      tile.classList.toggle("is-current", at === index);
    }
    this.#hooks.moved();
  }

  #indexOf(target) {
    return [...this.#list.children].indexOf(target.closest(".tile"));
  }

  #click(event) {
    const index = this.#indexOf(event.target);
    const candidate = this.#work?.candidates[index];
    if (!candidate) return;
    this.#select(index);
    if (event.target.closest(".look")) {
      this.#hooks.look(candidate.id);
      this.focus();
    } else if (event.target.closest(".tile-zoom")) this.#hooks.zoom(candidate.id);
    else if (event.target.closest(".tile-problem")) this.#again(this.#list.children[index], candidate);
    else if (event.target.closest(".tile-image")) this.#hooks.press(candidate.id, event.shiftKey);
  }

  #again(tile, candidate) {
    this.#work.pictures.get(candidate.id).load();
    this.#fill(tile, this.#work, candidate);
  }

  // A mouse drags the image itself. A finger scrolls there, and drags by the handle.
  #down(event) {
    const candidate = this.#work?.candidates[this.#indexOf(event.target)];
    const grip = event.target.closest(".tile-grip");
    if (!candidate || (!grip && !(event.pointerType === "mouse" && event.target.closest(".tile-image")))) return;
    this.#hooks.lift(event, candidate.id);
  }
}

function unmark(tile) {
  tile.classList.remove("is-ranked");
  tile.querySelector(".place").hidden = true;
  tile.querySelector(".tile-words").textContent = "";
}

function empty(tile) {
  delete tile.dataset.candidate;
  tile.dataset.state = "loading";
  tile.querySelector(".tile-image").replaceChildren();
  tile.querySelector(".tile-problem").hidden = true;
}
