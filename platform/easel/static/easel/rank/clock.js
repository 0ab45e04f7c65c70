// Active time: what lies between two signs of life counts up to 30 s; a hidden page does not count at all.

export const IDLE_MS = 30_000;

export class ActiveClock {
  #spent;
  #last = null;
  #now;

  constructor(spent = 0, now = () => performance.now()) {
    this.#spent = spent;
    this.#now = now;
  }

  // A sign of life.
  touch() {
    const now = this.#now();
    this.#spent += this.#since(now);
    this.#last = now;
  }

  // The page was hidden, or another item is shown: nothing counts until the next sign of life.
  pause() {
    this.#spent += this.#since(this.#now());
    this.#last = null;
  }

  get ms() {
    return Math.round(this.#spent + this.#since(this.#now()));
  }

  #since(now) {
    return this.#last === null ? 0 : Math.min(now - this.#last, IDLE_MS);
  }
}
