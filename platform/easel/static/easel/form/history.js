// The states of one answer, for undo and redo.

const MOST = 200;

export class History {
  #states = [undefined];
  #at = 0;

  start(state) {
    this.#states = [state];
    this.#at = 0;
  }

  get now() {
    return this.#states[this.#at];
  }

  get canUndo() {
    return this.#at > 0;
  }

  get canRedo() {
    return this.#at < this.#states.length - 1;
  }

  push(state) {
    if (JSON.stringify(state) === JSON.stringify(this.now)) return false;
    this.#states = [...this.#states.slice(0, this.#at + 1), state].slice(-MOST);
    this.#at = this.#states.length - 1;
    return true;
  }

  undo() {
    if (!this.canUndo) return false;
    this.#at -= 1;
    return true;
  }

  redo() {
    if (!this.canRedo) return false;
    this.#at += 1;
    return true;
  }
}
