// What must survive a crash, in localStorage and in memory (which is all there is where storage is switched off).
// Names hold the user, so that a shared computer never sends one person's answers as another's.

export class Shelf {
  #prefix;
  #memory = new Map();

  constructor(kind, user) {
    this.#prefix = `easel.${kind}.${user}.`;
    try {
      for (const key of Object.keys(localStorage)) {
        if (!key.startsWith(this.#prefix)) continue;
        const value = parse(localStorage.getItem(key));
        if (value) this.#memory.set(key.slice(this.#prefix.length), value);
      }
    } catch {
      // Storage is switched off.
    }
  }

  get(name) {
    return this.#memory.get(name) ?? null;
  }

  set(name, value) {
    this.#memory.set(name, value);
    try {
      localStorage.setItem(this.#prefix + name, JSON.stringify(value));
    } catch {
      // Switched off, or full: memory still has it.
    }
  }

  delete(name) {
    this.#memory.delete(name);
    try {
      localStorage.removeItem(this.#prefix + name);
    } catch {
      // As above.
    }
  }

  get names() {
    return [...this.#memory.keys()];
  }

  get values() {
    return [...this.#memory.values()];
  }

  // Forget what is older than some days (each value says when it was written, in `at`).
  sweep(days) {
    const oldest = Date.now() - days * 86_400_000;
    for (const [name, value] of [...this.#memory]) if (!(value.at > oldest)) this.delete(name);
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
